import { int, optional, rest, word } from '../arguments.ts';
import { set } from '../draft.ts';
import type { Draft, Settings } from '../draft.ts';
import { refuse } from '../findings.ts';
import type { Line } from '../lexer.ts';
import type { DirectiveSpec, Section } from './spec.ts';
import { refused, supported } from './spec.ts';

type FlagKey =
  'managementClient' | `management${'Hold' | 'Signal' | 'QueryRemote' | 'QueryProxy' | 'UpDown'}`;

/** More lines than that are accepted, and not kept. */
export const MAX_LOG_CACHE = 5000;

function flag(name: string, key: FlagKey, help: string, difference?: string): DirectiveSpec {
  const extras = difference === undefined ? {} : { difference };
  return supported(name, [], help, (draft, _, line) => set(draft, key, true, line), {
    shared: true,
    ...extras,
  });
}

function readManagement(
  draft: Draft,
  address: string,
  port: string,
  passwordFile: string | undefined,
  line: Line,
) {
  const place = readPlace(address, port);
  if (place !== undefined) {
    set(draft, 'management', { place, passwordFile }, line);
    return;
  }
  refuse(draft.findings, line.words[1].where, 'CONFIG_ARGUMENT', `management: \`${port}\` is not a port`, {
    why: 'behind the address comes a number, 1 to 65535, or `unix` when the address is the path of a socket',
    fix: 'management 127.0.0.1 7505\nmanagement /run/tunnel.management unix',
  });
}

function readPlace(address: string, port: string): Settings['management']['place'] | undefined {
  if (port === 'unix') return { kind: 'unix', path: address };
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (number < 1 || number > 65535) return undefined;
  return address === 'tunnel'
    ? { kind: 'tunnel', port: number }
    : { kind: 'tcp', host: address, port: number };
}

function readEcho(draft: Draft, words: readonly string[] = []): void {
  draft.echoes.push(words.join(' '));
}

const tls = (name: string) =>
  refused(name, 'The management interface, for TLS.', 'a static-key tunnel has no certificates', 'remove it');

export const MANAGEMENT: Section = {
  title: 'The management interface',
  intro: `OpenVPN's interface for programs: one client at a time sends lines and gets lines, as exporters, status pages and user
interfaces for OpenVPN do. Its commands, answers and messages are those of OpenVPN 2.6 (\`help\` lists them). For people and new programs
\`tsvpn status --json\` and the other commands say more, and need no open port.

Who may connect may end the tunnel: use a unix socket with \`management-client-user\`, or a password file. With several peers the states
(\`>STATE:\`) are those of the first peer of the config, counters are sums, and each peer asks for its own remotes and waits for its own restart.`,
  directives: [
    supported(
      'management',
      [word('ADDRESS'), word('PORT|unix'), optional(word('PASSWORD-FILE'))],
      'Listen at a TCP port, or with `unix` at the socket whose path is ADDRESS. The address `tunnel` is our own in the ' +
        "tunnel. The password is the file's first line.",
      (draft, [address, port, file], line) => readManagement(draft, address, port, file, line),
      {
        shared: true,
        difference:
          'The password cannot be typed in (`stdin`). A client that does not read, or gives no password within a minute, is ' +
          'cut off. A reload (SIGHUP) and the device, which stays over restarts, make no new states. `test` makes 10000 lines ' +
          'at most.',
        forms: ['management HOST PORT [PASSWORD-FILE]', 'management PATH unix [PASSWORD-FILE]'],
      },
    ),
    flag(
      'management-client',
      'managementClient',
      'Connect to the address instead of listening there. The tunnel ends with the connection.',
    ),
    supported(
      'management-client-user',
      [word('USER')],
      'Of a unix socket: accept only processes of this user.',
      (draft, [user], line) => set(draft, 'managementClientUser', user, line),
      { preset: 'everybody', shared: true },
    ),
    supported(
      'management-client-group',
      [word('GROUP')],
      'Of a unix socket: accept only processes of this group.',
      (draft, [group], line) => set(draft, 'managementClientGroup', group, line),
      { preset: 'everybody', shared: true },
    ),
    flag('management-hold', 'managementHold', 'Start, and restart, when a client says `hold release`.'),
    supported(
      'management-log-cache',
      [int('LINES', 1, 1_000_000)],
      `Keep so many lines of the log for clients, at most ${MAX_LOG_CACHE}.`,
      (draft, [lines], line) => set(draft, 'managementLogCache', lines, line),
      { preset: '250', shared: true, difference: `OpenVPN has no limit of ${MAX_LOG_CACHE}.` },
    ),
    flag(
      'management-query-remote',
      'managementQueryRemote',
      'Ask a client (`>REMOTE:`) before a remote is used.',
    ),
    flag(
      'management-query-proxy',
      'managementQueryProxy',
      'Ask a client (`>PROXY:`) for a proxy before a remote is used; the only answer that leads on is `proxy NONE`.',
      'No proxies.',
    ),
    supported(
      'management-query-passwords',
      [],
      'Ask a client for passwords; a static-key tunnel has none.',
      (draft, _, line) => set(draft, 'managementQueryPasswords', true, line),
      { shared: true },
    ),
    flag('management-signal', 'managementSignal', 'Restart the connection (SIGUSR1) when the client goes.'),
    supported(
      'management-forget-disconnect',
      [],
      'Forget passwords when the client goes; a static-key tunnel has none.',
      (draft, _, line) => set(draft, 'managementForgetDisconnect', true, line),
      { shared: true },
    ),
    flag(
      'management-up-down',
      'managementUpDown',
      'Tell a client (`>UPDOWN:`) what the scripts `up` and `down` would be told.',
    ),
    supported(
      'echo',
      [optional(rest('TEXT'))],
      'Text for clients of the management interface, which show it with `echo all`.',
      (draft, [words]) => readEcho(draft, words),
      { aliases: ['parameter'], shared: true },
    ),
    tls('management-client-auth'),
    tls('management-external-cert'),
    tls('management-external-key'),
    refused(
      'management-client-pf',
      'Packet filters of a server (OpenVPN 2.5 and older).',
      'no current OpenVPN has it',
      'remove it',
    ),
  ],
};
