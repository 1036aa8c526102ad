import { choice, int, rest } from '../arguments.ts';
import { set } from '../draft.ts';
import type { Draft } from '../draft.ts';
import { refuse, warn } from '../findings.ts';
import type { Line } from '../lexer.ts';
import type { NatTimeouts } from '../../nat/rule.ts';
import { LAST_CAPTURED_PORT, NAT_FORMS, readNat } from '../nat-line.ts';
import { CLIENT_NAT_FORM, readClientNat } from '../netmap-line.ts';
import { supported } from './spec.ts';
import type { Section } from './spec.ts';

const TIMEOUTS = {
  udp: 'udp',
  'udp-one-way': 'udpOneWay',
  'udp-dns': 'udpDns',
  tcp: 'tcpEstablished',
  'tcp-partial': 'tcpPartial',
  'tcp-closing': 'tcpClosing',
  icmp: 'icmp',
  other: 'other',
} as const satisfies Record<string, keyof NatTimeouts>;
type TimeoutName = keyof typeof TIMEOUTS;

/** Seconds below which an RFC says MUST NOT or SHOULD NOT. */
const LEAST: Partial<Record<TimeoutName, readonly [seconds: number, rule: string]>> = {
  udp: [120, 'RFC 4787 REQ-5'],
  'udp-one-way': [120, 'RFC 4787 REQ-5'],
  tcp: [7440, 'RFC 5382 REQ-5'],
  'tcp-partial': [240, 'RFC 5382 REQ-5'],
  'tcp-closing': [240, 'RFC 5382 REQ-5'],
  icmp: [60, 'RFC 5508 REQ-2'],
};

function setTimeoutOf(draft: Draft, name: TimeoutName, seconds: number, line: Line): void {
  const [least, rule] = LEAST[name] ?? [0, ''];
  if (seconds < least) {
    warn(draft.findings, line.where, 'CONFIG_NAT_TIMEOUT', `nat-timeout ${name} is below ${least} seconds`, {
      why: `${rule} asks for as much; sessions that are only quiet are cut off`,
    });
  }
  draft.natTimeouts[TIMEOUTS[name]] = { value: seconds, where: line.where };
}

function setPorts(draft: Draft, first: number, last: number, line: Line): void {
  if (last > LAST_CAPTURED_PORT) {
    const { where } = line.words[1];
    refuse(draft.findings, where, 'CONFIG_NAT_PORTS', `nat-ports ${first} ${last} contains port 65535`, {
      why: 'the kernel refuses it in a rule for ports',
      fix: `nat-ports ${Math.min(first, LAST_CAPTURED_PORT)} ${LAST_CAPTURED_PORT}`,
    });
  } else if (first > last) {
    refuse(draft.findings, line.where, 'CONFIG_NAT_PORTS', `nat-ports ${first} ${last} is empty`, {
      fix: `nat-ports ${last} ${first}`,
    });
  } else {
    set(draft, 'natPorts', { first, last }, line);
  }
}

/** Tables 253 to 255 are default, main and local. */
const KERNEL_TABLES: readonly number[] = [253, 254, 255];

function setTable(draft: Draft, table: number, line: Line): void {
  if (KERNEL_TABLES.includes(table)) {
    refuse(draft.findings, line.where, 'CONFIG_NAT', `nat-table ${table} is one of the kernel's own tables`, {
      fix: 'nat-table 51820',
    });
  } else {
    set(draft, 'natTable', table, line);
  }
}

const PORT = (label: string) => int(label, 1024, 65535);

export const NAT: Section = {
  title: 'NAT',
  intro: `Rules, of which the first that matches a new session decides:

\`\`\`
${Object.values(NAT_FORMS).flat().join('\n')}
\`\`\`

PORTS is a port or a range (8000-8080). A network has its mask as a length or dotted, behind a slash or a blank. Clauses may
come in any order.`,
  directives: [
    supported(
      'nat',
      [rest('RULE')],
      'A rule for new sessions; the first that matches decides.',
      (draft, _, line) => readNat(draft, line),
      { forms: Object.values(NAT_FORMS).flat(), shared: true },
    ),
    supported(
      'client-nat',
      [rest('RULE')],
      'Translate a whole network one to one, as in OpenVPN: `snat` on this side of the tunnel, `dnat` on the other. ' +
        'NETWORK is what this side sees, ALIAS what is on the wire. At most 64 lines for a peer.',
      (draft, _, line) => readClientNat(draft, line),
      { forms: [CLIENT_NAT_FORM], difference: "NETWORK/LENGTH for a network with its mask is tsvpn's own." },
    ),
    supported(
      'nat-ports',
      [PORT('FIRST'), PORT('LAST')],
      "Ports of this host's own addresses that `masquerade` uses. They must lie outside of the range the kernel takes " +
        'ports from.',
      (draft, [first, last], line) => setPorts(draft, first, last, line),
      { preset: '61000 65534', shared: true },
    ),
    supported(
      'nat-mapping',
      [choice(['tcp']), choice(['edm', 'eim'])],
      'Whether the TCP connections of a host and port may share an outside port by destination (edm) or keep one for all ' +
        'destinations (eim). UDP is always eim.',
      (draft, [, mode], line) => set(draft, 'natTcpMapping', mode, line),
      { preset: 'tcp edm', shared: true },
    ),
    supported(
      'nat-filter',
      [choice(['udp']), choice(['adf', 'eif'])],
      'Who may answer at a UDP port: addresses the host has sent to (adf), or anybody (eif).',
      (draft, [, mode], line) => set(draft, 'natUdpFiltering', mode, line),
      { preset: 'udp adf', shared: true },
    ),
    supported(
      'nat-timeout',
      [choice(Object.keys(TIMEOUTS) as TimeoutName[]), int('SECONDS', 1, 864_000)],
      'How long a quiet session is kept.',
      (draft, [name, seconds], line) => setTimeoutOf(draft, name, seconds, line),
      {
        preset:
          'udp 300, udp-one-way 120, udp-dns 30, tcp 7440, tcp-partial 240, tcp-closing 240, icmp 60, other 300',
        shared: true,
      },
    ),
    supported(
      'nat-max-sessions',
      [int('SESSIONS', 16, 4_194_304)],
      'Size of the session table.',
      (draft, [sessions], line) => set(draft, 'natMaxSessions', sessions, line),
      { preset: '65536', shared: true },
    ),
    supported(
      'nat-per-host',
      [int('SESSIONS', 1, 4_194_304)],
      'Sessions one inside address may have.',
      (draft, [sessions], line) => set(draft, 'natPerHost', sessions, line),
      { preset: '2048', shared: true },
    ),
    supported(
      'nat-unmatched',
      [choice(['reinject', 'drop'])],
      'What to do with packets to captured ports that belong to no session: give them to the kernel, or drop them.',
      (draft, [mode], line) => set(draft, 'natUnmatched', mode, line),
      { preset: 'reinject', shared: true },
    ),
    supported(
      'nat-table',
      [int('NUMBER', 1, 0xffffffff)],
      "The kernel's routing table that captures ports.",
      (draft, [table], line) => setTable(draft, table, line),
      { preset: '51820', shared: true },
    ),
    supported(
      'nat-rule-protocol',
      [int('NUMBER', 1, 255)],
      'Origin that marks the ip rules as ours; 2 (kernel) keeps systemd-networkd from removing them.',
      (draft, [number], line) => set(draft, 'natRuleProtocol', number, line),
      { preset: '213', shared: true },
    ),
  ],
};
