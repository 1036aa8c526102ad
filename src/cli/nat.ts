/** `tsvpn nat`: sessions and rules of the NAT of a running tunnel. */
import { request } from '../control/client.ts';
import {
  protocolNumber,
  renderRules,
  renderSessions,
  type NatPage,
  type SessionChoice,
} from '../control/nat.ts';
import { plural } from '../control/units.ts';
import { ExitCode } from '../errors.ts';
import { STATE_NAMES } from '../nat/session-state.ts';
import { numberOption, usageError } from './arguments.ts';
import type { Command, Invocation, Io } from './command.ts';
import { expectWords, subcommand } from './subcommand.ts';
import { TUNNEL_OPTION, whichTunnel, type Target } from './which-tunnel.ts';

const MAX_PORT = 65_535;
const SUBCOMMANDS = ['list', 'rules', 'flush'] as const;

export const nat: Command = {
  name: 'nat',
  summary: 'show and end the NAT sessions of a running tunnel',
  usage: ['nat [list] [SELECTION] [--json]', 'nat rules [--json]', 'nat flush [SELECTION]'],
  operands: { min: 0, max: 2 },
  options: {
    address: {
      type: 'string',
      value: 'ADDRESS[/LENGTH]',
      help: 'SELECTION: sessions of an address or network, inside or outside',
    },
    port: { type: 'string', value: 'N', help: 'SELECTION: sessions with that port at either end' },
    proto: { type: 'string', value: 'PROTO', help: 'SELECTION: tcp, udp, icmp or a number' },
    state: { type: 'string', value: 'STATE', help: 'SELECTION: as listed: one-way, established, ...' },
    json: { type: 'boolean', help: 'print one JSON object (schemas tsvpn.nat/1, tsvpn.nat-rules/1)' },
    tunnel: TUNNEL_OPTION,
  },
  examples: [
    { line: 'sudo tsvpn nat', does: 'list the sessions: who talks to whom, and how it appears there' },
    {
      line: 'sudo tsvpn nat list --address 10.8.0.2 --proto tcp',
      does: 'the TCP connections of one host',
    },
    { line: 'sudo tsvpn nat rules', does: 'the rules with their sessions, and how full the table is' },
    { line: 'sudo tsvpn nat flush', does: 'end all sessions' },
    { line: 'sudo tsvpn nat flush --address 10.8.0.2', does: 'end those of one host' },
  ],
  notes:
    'Rules are lines of the config (`nat ...`); `tsvpn reload` takes over changes and keeps the sessions of the rest.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const [word = 'list', ...words] = invocation.operands;
  const name = subcommand('nat', word, SUBCOMMANDS);
  expectWords(words, 0, 0, `nat ${name}`);
  const selection = selectionOf(invocation);
  if (name === 'rules' && Object.keys(selection).length > 0)
    throw usageError(
      '`tsvpn nat rules` lists all rules',
      'give options that select sessions to list or flush',
    );
  const target = await whichTunnel(invocation.value('tunnel'), '--tunnel NAME', io);
  const json = invocation.flag('json');
  const print = (result: unknown, text: string) => {
    io.out(json ? `${JSON.stringify(result)}\n` : `${text}\n`);
    return ExitCode.Ok;
  };
  switch (name) {
    case 'list':
      return list(target, selection, json, io);
    case 'rules': {
      const found = await request(target.dir, target.name, 'nat-rules');
      return print(found, renderRules(found, io.paintOut));
    }
    case 'flush': {
      const found = await request(target.dir, target.name, 'nat-flush', selection);
      return print(found, `ended ${plural(found.sessions, 'session')}`);
    }
  }
}

/** Page by page, so that a million sessions need no more memory than a few; as JSON one object all the same. */
async function list(
  { dir, name }: Target,
  selection: SessionChoice,
  json: boolean,
  io: Io,
): Promise<ExitCode> {
  let found = 0;
  for (let from: number | null = 0; typeof from === 'number' && !io.readerGone;) {
    const page: NatPage = await request(dir, name, 'nat-list', { ...selection, from });
    const { sessions, next } = page;
    if (json) {
      const texts = sessions.map((session) => JSON.stringify(session));
      const head = from === 0 ? '{"schema":"tsvpn.nat/1","sessions":[' : '';
      const separator = found > 0 && texts.length > 0 ? ',' : '';
      io.out(`${head}${separator}${texts.join(',')}${next === null ? ']}\n' : ''}`);
    } else if (sessions.length > 0) {
      io.out(`${renderSessions(page, io.paintOut)}\n`);
    }
    found += sessions.length;
    from = next;
  }
  if (found === 0) io.err('no sessions\n');
  return ExitCode.Ok;
}

function selectionOf(invocation: Invocation): SessionChoice {
  const [network, port, proto, state] = ['address', 'port', 'proto', 'state'].map((name) =>
    invocation.value(name),
  );
  return {
    ...(network === undefined ? {} : { network }),
    ...(port === undefined ? {} : { port: numberOption(port, 'port', 0, MAX_PORT) }),
    ...(proto === undefined ? {} : { protocol: protocolOf(proto) }),
    ...(state === undefined ? {} : { state: stateOf(state) }),
  };
}

function protocolOf(word: string): number {
  const protocol = protocolNumber(word);
  if (protocol !== undefined) return protocol;
  throw usageError(`--proto is '${word}'`, 'give tcp, udp, icmp, or the number of a protocol');
}

function stateOf(word: string): string {
  const states = new Set(STATE_NAMES.slice(1));
  if (states.has(word)) return word;
  throw usageError(`--state is '${word}'`, `give one of ${[...states].join(', ')}`);
}
