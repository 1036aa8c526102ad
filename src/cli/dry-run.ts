/** `up --dry-run`: what a gateway would do to this machine, as commands one could type. */
import type { GatewayConfig } from '../config/model.ts';
import { isStream } from '../config/protocols.ts';
import { transportText } from '../config/summary.ts';
import { ExitCode } from '../errors.ts';
import type { Io } from './command.ts';

export async function dryRun(config: GatewayConfig, io: Io): Promise<ExitCode> {
  const { planKernel } = await import('../kernel/plan.ts');
  const { renderIp } = await import('../kernel/change.ts');
  const { type } = config.device;
  // The kernel picks the number when the config says `dev tun`.
  const device = config.device.name ?? `${type}0`;
  const lines = [
    ...(config.device.name === undefined ? [`# ${device} stands for the next free ${type} device`] : []),
    `ip tuntap add dev ${device} mode ${type}`,
    ...planKernel(config, device).map(renderIp),
    ...(await natLines(config, device)),
    ...config.peers.map(
      (peer) =>
        `# ${isStream(peer.transport) ? 'TCP' : 'UDP'}${config.peers.length > 1 ? ` for ${peer.name}` : ''}: ${transportText(peer)}`,
    ),
  ];
  io.out(`${lines.join('\n')}\n`);
  return ExitCode.Ok;
}

/** What the NAT lines need of this host as it is now. */
async function natLines(config: GatewayConfig, device: string): Promise<string[]> {
  if (config.nat.lines.length === 0) return [];
  const { renderIp } = await import('../kernel/change.ts');
  const { readNatPlan } = await import('../kernel/nat/attachment.ts');
  const { changes, missing } = readNatPlan(config, device);
  return [...changes.map(renderIp), ...missing.map((text) => `# nat: ${text}`)];
}
