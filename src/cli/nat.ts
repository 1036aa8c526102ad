/** `tsvpn nat`: sessions and rules of the NAT of a running tunnel. */
import { request } from '../control/client.ts';
import { renderRules, renderSessions } from '../control/nat.ts';
import { plural } from '../control/units.ts';
import { ExitCode } from '../errors.ts';
import type { Command, Invocation, Io } from './command.ts';
import { expectWords, subcommand } from './subcommand.ts';
import { TUNNEL_OPTION, whichTunnel } from './which-tunnel.ts';

const SUBCOMMANDS = ['list', 'rules', 'flush'] as const;

export const nat: Command = {
  name: 'nat',
  summary: 'show and end the NAT sessions of a running tunnel',
  usage: ['nat [list] [--json]', 'nat rules [--json]', 'nat flush'],
  operands: { min: 0, max: 2 },
  options: {
    json: { type: 'boolean', help: 'print one JSON object (schemas tsvpn.nat/1, tsvpn.nat-rules/1)' },
    tunnel: TUNNEL_OPTION,
  },
  examples: [
    { line: 'sudo tsvpn nat', does: 'list the sessions: who talks to whom, and how it appears there' },
    { line: 'sudo tsvpn nat rules', does: 'the rules with their sessions, and how full the table is' },
    { line: 'sudo tsvpn nat flush', does: 'end all sessions' },
  ],
  notes:
    'Rules are lines of the config (`nat ...`); `tsvpn reload` takes over changes and keeps the sessions of the rest.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const [word = 'list', ...words] = invocation.operands;
  const name = subcommand('nat', word, SUBCOMMANDS);
  expectWords(words, 0, 0, `nat ${name}`);
  const { dir, name: tunnel } = await whichTunnel(invocation.value('tunnel'), '--tunnel NAME', io);
  const print = (result: unknown, text: string) => {
    if (invocation.flag('json')) io.out(`${JSON.stringify(result)}\n`);
    else if (text !== '') io.out(`${text}\n`);
    return ExitCode.Ok;
  };
  switch (name) {
    case 'list': {
      const found = await request(dir, tunnel, 'nat-list');
      if (found.sessions.length === 0) io.err('no sessions\n');
      return print(found, renderSessions(found, io.paintOut));
    }
    case 'rules': {
      const found = await request(dir, tunnel, 'nat-rules');
      return print(found, renderRules(found, io.paintOut));
    }
    case 'flush': {
      const found = await request(dir, tunnel, 'nat-flush');
      return print(found, `ended ${plural(found.sessions, 'session')}`);
    }
  }
}
