/** `tsvpn mtu`: measures the path to the peers of a running tunnel. */
import { request } from '../control/client.ts';
import { renderMtu, type MtuReport } from '../control/mtu.ts';
import { ExitCode, OperatorError, OperatorErrors, operatorErrors } from '../errors.ts';
import type { Command, Invocation, Io } from './command.ts';
import { TUNNEL_OPTION, whichTunnel } from './which-tunnel.ts';

export const mtu: Command = {
  name: 'mtu',
  summary: 'measure what the path to a peer carries',
  usage: ['mtu [PEER] [--json]'],
  operands: { min: 0, max: 1 },
  options: {
    json: { type: 'boolean', help: 'one JSON object per peer and line (schema tsvpn.mtu/1)' },
    tunnel: TUNNEL_OPTION,
  },
  examples: [
    { line: 'sudo tsvpn mtu', does: 'path MTU both ways, largest packet inside, lines for the config' },
    { line: 'sudo tsvpn mtu site-b --json | jq .toPeer.mtu', does: 'the number alone' },
  ],
  notes:
    'Takes a second or two and some dozen packets. The peer may be an unmodified OpenVPN.\nUnless `mtu-probe off` forbids it, the tunnel goes by what is found.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const { dir, name } = await whichTunnel(invocation.value('tunnel'), '--tunnel NAME', io);
  const [operand] = invocation.operands;
  const { peers } = await request(dir, name, 'status');
  const names = operand === undefined ? peers.map((peer) => peer.name) : [operand];
  const asked = await Promise.allSettled(names.map((peer) => request(dir, name, 'mtu', { peer })));
  const reports = asked.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
  io.out(invocation.flag('json') ? jsonLines(reports) : paragraphs(reports, io));
  const errors = asked.flatMap((each) => (each.status === 'rejected' ? errorsOf(each.reason) : []));
  const silent = reports.filter(({ software }) => software === null);
  if (silent.length > 0) errors.push(noAnswer(silent));
  if (errors.length > 0) throw new OperatorErrors(errors);
  return ExitCode.Ok;
}

/** What the paths to some peers cannot be measured for is no reason to hide those to others. */
function errorsOf(reason: unknown): readonly OperatorError[] {
  const errors = operatorErrors(reason);
  if (errors === undefined) throw reason;
  return errors;
}

function noAnswer(silent: readonly MtuReport[]): OperatorError {
  return new OperatorError({
    code: 'MTU_NO_ANSWER',
    what: `no answer from ${silent.map(({ peer }) => peer).join(', ')}`,
    why: 'it is down, or what the ends send each other is not understood: `cipher`, `auth`, `fragment` or compression differ',
    fix: 'see `last packet` and `dropped packets` of `tsvpn status`; `ping` it through the tunnel',
    exitCode: ExitCode.Failure,
  });
}

function jsonLines(reports: readonly MtuReport[]): string {
  return reports.map((report) => `${JSON.stringify(report)}\n`).join('');
}

function paragraphs(reports: readonly MtuReport[], io: Io): string {
  return reports.map((report) => `${renderMtu(report, io.paintOut)}\n`).join('\n');
}
