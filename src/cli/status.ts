/** `tsvpn status`: asks the running tunnels and prints what they answer. */
import { setTimeout as sleep } from 'node:timers/promises';
import { tunnelName } from '../config/tunnel-name.ts';
import { instances, request } from '../control/client.ts';
import { runtimeDir } from '../control/runtime-dir.ts';
import { renderPeer, renderStatus } from '../control/status-text.ts';
import type { TunnelStatus } from '../control/status.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import type { Command, Invocation, Io } from './command.ts';
import { renderError } from './render-error.ts';

const WATCH_INTERVAL_MS = 1000;
const CLEAR_SCREEN = '\u001b[H\u001b[2J';

export const status: Command = {
  name: 'status',
  summary: 'show the running tunnels',
  usage: ['status [NAME [PEER]] [--json] [--watch]'],
  operands: { min: 0, max: 2 },
  options: {
    json: { type: 'boolean', help: 'one JSON object per tunnel and line (schema tsvpn.status/2)' },
    peer: { type: 'string', value: 'PEER', help: 'one of several peers, in full' },
    watch: { type: 'boolean', short: 'w', help: 'print again every second until Ctrl-C' },
  },
  examples: [
    { line: 'sudo tsvpn status', does: 'show all running tunnels' },
    { line: 'sudo tsvpn status site-a --json | jq .state', does: "print one tunnel's state" },
    { line: 'sudo tsvpn status hub site-b', does: 'one of several peers in full, and why it is silent' },
    { line: 'sudo tsvpn status --watch', does: 'follow the counters' },
  ],
  notes: 'The JSON form is described by docs/status.schema.json, the drop reasons by docs/drop-reasons.md.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const print = () => printOnce(invocation, io);
  if (!invocation.flag('watch')) return print();
  process.once('SIGINT', () => process.exit(ExitCode.Ok));
  while (!io.readerGone) {
    if (io.outIsTty && !invocation.flag('json')) io.out(CLEAR_SCREEN);
    await print();
    await sleep(WATCH_INTERVAL_MS);
  }
  return ExitCode.Ok;
}

async function printOnce(invocation: Invocation, io: Io): Promise<ExitCode> {
  const dir = runtimeDir(io.env);
  const [operand] = invocation.operands;
  const found =
    operand === undefined
      ? await instances(dir)
      : [{ name: operand, status: await request(dir, tunnelName(operand), 'status') }];
  const states = found.flatMap((instance) => ('status' in instance ? [instance.status] : []));
  const errors = found.flatMap((instance) => ('error' in instance ? [instance.error] : []));
  if (found.length === 0) io.err('no tunnel is running; start one with `tsvpn up FILE`\n');
  const peer = invocation.operands[1] ?? invocation.value('peer');
  if (peer !== undefined && found.length > 0) {
    printPeer(states, peer, invocation.flag('json'), io);
  } else if (states.length > 0) {
    io.out(invocation.flag('json') ? jsonLines(states) : paragraphs(states, io));
  }
  for (const error of errors) io.err(renderError(error, io.paintErr));
  return errors[0]?.exitCode ?? ExitCode.Ok;
}

function jsonLines(states: readonly TunnelStatus[]): string {
  return states.map((state) => `${JSON.stringify(state)}\n`).join('');
}

function paragraphs(states: readonly TunnelStatus[], io: Io): string {
  const now = Date.now();
  return states.map((state) => `${renderStatus(state, now, io.paintOut)}\n`).join('\n');
}

/** In every tunnel that has a peer of that name. Throws OperatorError when none has. */
function printPeer(states: readonly TunnelStatus[], name: string, json: boolean, io: Io): void {
  const found = states.flatMap(({ peers }) => peers.filter((peer) => peer.name === name));
  if (found.length === 0) {
    const known = states.flatMap(({ peers }) => peers.map((peer) => peer.name));
    throw new OperatorError({
      code: 'PEER_UNKNOWN',
      what: `there is no peer '${name}'`,
      fix: known.length === 0 ? 'see `tsvpn status`' : `name one of: ${known.join(', ')}`,
      exitCode: ExitCode.Usage,
    });
  }
  const now = Date.now();
  for (const peer of found) {
    io.out(json ? `${JSON.stringify(peer)}\n` : `${renderPeer(peer, now, io.paintOut)}\n`);
  }
}
