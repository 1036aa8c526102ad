/** `tsvpn reload`: a running tunnel reads its config files again and makes the difference. */
import { request } from '../control/client.ts';
import type { ReloadReport } from '../control/messages.ts';
import { plural } from '../control/units.ts';
import { ExitCode } from '../errors.ts';
import type { Command, Invocation, Io } from './command.ts';
import { whichTunnel } from './which-tunnel.ts';

export const reload: Command = {
  name: 'reload',
  summary: 'make a running tunnel follow its changed config',
  usage: ['reload [NAME] [--json]'],
  operands: { min: 0, max: 1 },
  options: {
    json: { type: 'boolean', help: 'print one JSON object: changes, untouched, problems, warnings' },
  },
  examples: [
    { line: 'sudo tsvpn reload', does: 'read the config of the running tunnel again' },
    { line: 'sudo tsvpn reload hub', does: 'the same when several tunnels are running' },
  ],
  notes:
    'Peers, routes, refusals, allowed sources and NAT rules follow the config; peers that are the same before and after\n' +
    'do not notice. A config that is wrong, or that changes what is fixed at the start (the device, its MTU, the status\n' +
    'file), changes nothing. SIGHUP does the same.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const { dir, name } = await whichTunnel(invocation.operands[0], '`tsvpn reload NAME`', io);
  const report = await request(dir, name, 'reload');
  io.out(invocation.flag('json') ? `${JSON.stringify(report)}\n` : renderReload(report));
  return report.problems.length > 0 ? ExitCode.Failure : ExitCode.Ok;
}

export function renderReload({ changes, untouched, problems, warnings = [] }: ReloadReport): string {
  const lines = [
    ...(changes.length > 0 ? changes : ['nothing has changed']),
    `${plural(untouched, 'peer')} untouched`,
    ...warnings.map((text) => `warning: ${text}`),
    ...problems.map((text) => `problem: ${text}`),
  ];
  return `${lines.join('\n')}\n`;
}
