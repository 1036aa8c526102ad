/** `tsvpn restart`: peers of a running tunnel start afresh, as after SIGUSR1. */
import { request } from '../control/client.ts';
import { ExitCode } from '../errors.ts';
import type { Command, Invocation, Io } from './command.ts';
import { TUNNEL_OPTION, whichTunnel } from './which-tunnel.ts';

export const restart: Command = {
  name: 'restart',
  summary: 'start the connection to a peer, or to all, afresh',
  usage: ['restart [PEER] [--tunnel NAME]'],
  operands: { min: 0, max: 1 },
  options: { tunnel: TUNNEL_OPTION },
  examples: [
    { line: 'sudo tsvpn restart', does: 'every peer: new socket, next remote, new packet ids' },
    { line: 'sudo tsvpn restart site-b', does: 'one peer; the others do not notice' },
  ],
  notes: 'SIGUSR1 restarts all. The config is not read again (`tsvpn reload` does that); the device stays.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const { dir, name } = await whichTunnel(invocation.value('tunnel'), '--tunnel NAME', io);
  const [peer] = invocation.operands;
  await request(dir, name, 'restart', peer === undefined ? {} : { peer });
  io.out(`${peer ?? name}: restarting\n`);
  return ExitCode.Ok;
}
