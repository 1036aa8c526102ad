/** The start of a gateway: what it is built on, opened in order, and taken back when a step fails. */
import { join } from 'node:path';
import type { Logger } from '../control/log.ts';
import { NOBODY } from '../control/overseer.ts';
import type { OperatorError } from '../errors.ts';
import { KernelSetup } from '../kernel/apply.ts';
import { cleanup, deadNeighbours } from '../kernel/cleanup.ts';
import { NatAttachment } from '../kernel/nat/attachment.ts';
import { openTun, type OpenTun } from '../tun/open.ts';
import { DataPlane } from './data-plane.ts';
import { needsLegacy } from './difference.ts';
import { RunningGateway, STOP_GRACE_MS, type Gateway, type GatewayOptions } from './gateway.ts';
import { KernelRoom } from './kernel-room.ts';
import { NatRoom } from './nat-room.ts';
import type { ScriptProcess } from './script-environment.ts';
import { Scripts } from './scripts.ts';
import { engineSettings, isPointToPoint } from './settings.ts';
import { Stages } from './stages.ts';

/** Starts a gateway up to its sockets; `connect` opens those. Throws OperatorError, with everything undone. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { config, name, runtimeDir, log, overseer = NOBODY } = options;
  reportLeftovers(cleanup(runtimeDir, name), log);
  for (const dead of deadNeighbours(runtimeDir, name)) {
    log.warn(`the tunnel ${dead} was killed and has left changes to this host behind: tsvpn cleanup ${dead}`);
  }
  const tun = openTun({ ...config.device, offload: options.offload ?? true });
  log.info(`TUN/TAP device ${tun.name} opened`);
  const kernelLog = {
    info: (text: string) => (options.verbose ? log.info(`[#] ${text}`) : log.debug(text)),
    warn: (text: string) => log.warn(text),
  };
  const journalPath = join(runtimeDir, `${name}.journal`);
  const setup = new KernelSetup({ journalPath, device: tun.name, log: kernelLog });
  const kernel = new KernelRoom(setup, tun.name);
  const scripts = new Scripts({ process: scriptProcess(options), log });
  const stages = new Stages(config, { kernel, scripts, device: tun.name, overseer, log });
  const attachment = new NatAttachment({ device: tun.name, setup, log: kernelLog });
  const late: Late = {};
  let plane: DataPlane | undefined;
  try {
    if (!config.scripts.upDelay) await stages.raiseDevice(config);
    const started = (plane = await startPlane(options, tun, late));
    const nat = new NatRoom({ attachment, log, send: (command) => started.send(command) });
    await nat.attach(config);
    const gateway = new RunningGateway(options, { tun, kernel, nat, plane, stages });
    late.gateway = gateway;
    return gateway;
  } catch (error) {
    await plane?.stop(STOP_GRACE_MS);
    kernel.undo();
    await stages.lowered(config, 'start failed');
    throw error;
  }
}

function scriptProcess({ daemon = false, logRedirect = false }: GatewayOptions): ScriptProcess {
  return { pid: process.pid, startTime: Math.floor(Date.now() / 1000), daemon, logRedirect };
}

/** Whom the data plane's events are for; it has nothing to say before. */
interface Late {
  gateway?: RunningGateway;
}

function startPlane({ config, forcedCrypto }: GatewayOptions, tun: OpenTun, late: Late): Promise<DataPlane> {
  return DataPlane.start({
    tun,
    settings: engineSettings(config, isPointToPoint(config)),
    suites: config.peers.map(({ cipher, digest, lines }) => ({ suite: { cipher, digest }, lines })),
    legacyProvider: needsLegacy(config),
    forcedCrypto,
    onEvent: (event) => late.gateway?.handle(event),
    onCrash: (error: OperatorError) => late.gateway?.crashed(error),
  });
}

function reportLeftovers({ journals }: ReturnType<typeof cleanup>, log: Logger): void {
  for (const { outcome, undo } of journals) {
    if (undo === undefined) continue;
    log.info(`undid what an earlier run left behind: ${undo.undone.length} changes (${outcome})`);
    for (const { command, reason } of undo.failed) log.warn(`could not undo: ${command}: ${reason}`);
  }
}
