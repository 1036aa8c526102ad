/**
 * The `nat` lines:
 *
 *     nat snat NETWORK out INTERFACE masquerade | nat snat NETWORK out INTERFACE to ADDRESS
 *     nat snat NETWORK into tunnel [peer NAME]
 *     nat dnat from peers|peer NAME | in INTERFACE ... to ADDRESS[:PORT] [snat]
 *     nat none NETWORK
 *     nat netmap ... (netmap-line.ts)
 *
 * What a packet must look like besides (`tcp dport 80 dst 10.1.0.0/16`) may stand anywhere behind the second word.
 */
import type { RuleMatch } from '../nat/rule.ts';
import type { Prefix } from '../packet/prefix.ts';
import type { SourcePosition } from '../errors.ts';
import type { Draft, DraftNatLine } from './draft.ts';
import type { Line, Word } from './lexer.ts';
import type { NatLine } from './model.ts';
import * as network from './network-words.ts';
import { PROTOCOLS } from './network-words.ts';
import { NETMAP_FORM, readNetmap } from './netmap-line.ts';
import { flag, keyword, readClauses, refuseRule, wordsOf } from './words.ts';
import type { ClauseValues, Reader, Words } from './words.ts';

const MATCH_FORM = '[tcp|udp|icmp|proto PROTOCOL] [sport PORTS] [dport PORTS]';

/** How each kind is written. */
export const NAT_FORMS = {
  snat: [
    `nat snat NETWORK out INTERFACE masquerade [dst NETWORK] ${MATCH_FORM}`,
    `nat snat NETWORK out INTERFACE to ADDRESS [dst NETWORK] ${MATCH_FORM}`,
    `nat snat NETWORK into tunnel [peer NAME] [dst NETWORK] ${MATCH_FORM}`,
  ],
  dnat: [
    `nat dnat from peers|peer NAME [src NETWORK] [dst NETWORK] ${MATCH_FORM} to ADDRESS[:PORT] [snat]`,
    'nat dnat in INTERFACE tcp|udp dport PORTS [src NETWORK] [dst NETWORK] to ADDRESS[:PORT] [snat]',
  ],
  none: [`nat none NETWORK [dst NETWORK] ${MATCH_FORM}`],
  netmap: [NETMAP_FORM],
} as const;
type Kind = keyof typeof NAT_FORMS;

/** Ports that rules of the kernel can name end below 65535, which it refuses as the end of a range. */
export const LAST_CAPTURED_PORT = 65534;

const protocolClauses = Object.fromEntries(Object.keys(PROTOCOLS).map((name) => [name, flag])) as {
  readonly [K in keyof typeof PROTOCOLS]: Reader<true>;
};

const MATCH = {
  ...protocolClauses,
  proto: network.protocol,
  dst: network.network,
  sport: network.ports,
  dport: network.ports,
};

const FROM: Reader<{ readonly peer: Word | undefined }> = (words) => {
  const whom = keyword('peers', 'peer')(words);
  if (whom === undefined) return undefined;
  if (whom === 'peers') return { peer: undefined };
  const peer = network.peerName(words);
  return peer && { peer };
};

const SNAT = {
  ...MATCH,
  out: network.interfaceName,
  masquerade: flag,
  to: network.address,
  into: keyword('tunnel'),
  peer: network.peerName,
};
const DNAT = {
  ...MATCH,
  src: network.network,
  from: FROM,
  in: network.interfaceName,
  to: network.target,
  snat: flag,
};

/** The protocol that the clauses name: its number, 'any' without one, undefined when they name two (recorded). */
function protocolOf(words: Words, values: ClauseValues<typeof MATCH>): number | 'any' | undefined {
  const named = (Object.keys(PROTOCOLS) as (keyof typeof PROTOCOLS)[])
    .filter((name) => values[name])
    .map((name) => PROTOCOLS[name]);
  const all = values.proto === undefined ? named : [...named, values.proto];
  if (all.length > 1) {
    return refuseRule(words, 'nat: a rule has one protocol', 'write a line for each protocol');
  }
  return all.at(0) ?? 'any';
}

function hasPorts(protocol: number | 'any'): boolean {
  return protocol === PROTOCOLS.tcp || protocol === PROTOCOLS.udp;
}

/** What the clauses ask of a packet. Sessions are translated for IPv4 only; `target` is another address of the line. */
function matchOf(
  words: Words,
  source: Prefix | undefined,
  values: ClauseValues<typeof MATCH>,
  target?: Uint8Array,
): RuleMatch | undefined {
  const protocol = protocolOf(words, values);
  if (protocol === undefined) return undefined;
  if ((values.sport ?? values.dport) !== undefined && !hasPorts(protocol)) {
    return refuseRule(
      words,
      'nat: ports without `tcp` or `udp`',
      'write `tcp` or `udp` in front of the port',
    );
  }
  const addresses = [source?.bytes, values.dst?.bytes, target];
  if (addresses.some((bytes) => bytes?.length === 16)) {
    const fix = 'route the network to this host, or translate it as a whole with `nat netmap`';
    return refuseRule(
      words,
      'nat: IPv6 sessions are not translated',
      fix,
      'IPv6 needs no sharing of addresses',
    );
  }
  return {
    source: unlessEverything(source),
    destination: unlessEverything(values.dst),
    protocol: protocol === 'any' ? undefined : protocol,
    sourcePorts: values.sport,
    destinationPorts: values.dport,
  };
}

/** `0.0.0.0/0` asks for nothing, and the kernel would not show it in a rule. */
function unlessEverything(prefix: Prefix | undefined): Prefix | undefined {
  return prefix?.length === 0 ? undefined : prefix;
}

interface Written {
  readonly text: string;
  readonly where: SourcePosition;
}

function written({ line }: Words): Written {
  return { text: [line.name, ...line.words.map(({ text }) => text)].join(' '), where: line.where };
}

type SnatTarget = Extract<NatLine, { kind: 'snat' }>['target'];

function snatTarget(words: Words, values: ClauseValues<typeof SNAT>): SnatTarget | undefined {
  const { out: egress, masquerade, to, into, peer } = values;
  if ((egress === undefined) === (into === undefined)) {
    return refuseRule(
      words,
      'nat snat needs either `out INTERFACE` or `into tunnel`',
      NAT_FORMS.snat.join('\n'),
    );
  }
  if (egress === undefined) {
    if ((masquerade ?? to) === undefined) return { kind: 'tunnel', peer: peer?.text };
    const why = 'what goes into the tunnel appears as the address of the device';
    return refuseRule(words, 'nat snat: `into tunnel` takes no address', NAT_FORMS.snat[2], why);
  }
  if (peer !== undefined) {
    return refuseRule(words, 'nat snat: `peer` goes with `into tunnel`', NAT_FORMS.snat.join('\n'));
  }
  if ((masquerade === undefined) === (to === undefined)) {
    return refuseRule(
      words,
      'nat snat needs either `masquerade` or `to ADDRESS`',
      `as the address of ${egress}: masquerade\nas another address of its network: to ADDRESS`,
    );
  }
  return to === undefined ? { kind: 'masquerade', egress } : { kind: 'alias', egress, address: to };
}

function readSnat(words: Words): DraftNatLine | undefined {
  const source = network.network(words);
  const values = source && readClauses(words, SNAT);
  if (source === undefined || values === undefined) return undefined;
  const target = snatTarget(words, values);
  const match = matchOf(words, source, values, values.to);
  if (target === undefined || match === undefined) return undefined;
  return { line: { kind: 'snat', ...written(words), match, target }, peer: values.peer };
}

function checkDnatPorts(words: Words, values: ClauseValues<typeof DNAT>, match: RuleMatch): boolean {
  const { protocol, destinationPorts } = match;
  const port = values.to?.port;
  if (port !== undefined && destinationPorts === undefined) {
    const what = `nat dnat: port ${port} in the target, but no port to match`;
    const why = 'all ports would end up at that one';
    refuseRule(words, what, `add \`${protocol === undefined ? 'tcp ' : ''}dport ${port}\``, why);
    return false;
  }
  if (values.in === undefined) return true;
  if (destinationPorts === undefined) {
    const why = `without it every port of this host on ${values.in} would be taken`;
    refuseRule(
      words,
      'nat dnat in INTERFACE needs `tcp dport PORT` or `udp dport PORT`',
      NAT_FORMS.dnat[1],
      why,
    );
    return false;
  }
  if (destinationPorts.last > LAST_CAPTURED_PORT) {
    const why = "the kernel's rules for ports end there";
    refuseRule(
      words,
      'nat dnat: port 65535 cannot be forwarded',
      `use ports up to ${LAST_CAPTURED_PORT}`,
      why,
    );
    return false;
  }
  return true;
}

function readDnat(words: Words): DraftNatLine | undefined {
  const values = readClauses(words, DNAT);
  if (values === undefined) return undefined;
  const { from, in: ingress, to, src } = values;
  if ((from === undefined) === (ingress === undefined)) {
    return refuseRule(words, 'nat dnat needs either `from` or `in`', NAT_FORMS.dnat.join('\n'));
  }
  if (to === undefined) {
    return refuseRule(words, 'nat dnat needs `to ADDRESS`', NAT_FORMS.dnat.join('\n'));
  }
  const match = matchOf(words, src, values, to.address);
  if (match === undefined || !checkDnatPorts(words, values, match)) return undefined;
  const origin =
    ingress === undefined
      ? ({ kind: 'peers', peer: from?.peer?.text } as const)
      : ({ kind: 'interface', name: ingress } as const);
  const target = { to: to.address, toPort: to.port, snat: values.snat === true };
  return { line: { kind: 'dnat', ...written(words), match, from: origin, ...target }, peer: from?.peer };
}

function readNone(words: Words): DraftNatLine | undefined {
  const source = network.network(words);
  const values = source && readClauses(words, MATCH);
  const match = values && matchOf(words, source, values);
  return match && { line: { kind: 'none', ...written(words), match }, peer: undefined };
}

const READERS = { snat: readSnat, dnat: readDnat, none: readNone } as const;

/** Reads a `nat` line into the draft. */
export function readNat(draft: Draft, line: Line): void {
  const kinds = Object.keys(NAT_FORMS) as Kind[];
  const opening = wordsOf(line, draft.findings, 'nat snat|dnat|none|netmap ... (`tsvpn help nat`)');
  const kind = keyword(...kinds)(opening);
  if (kind === undefined) return;
  const words: Words = { ...opening, usage: NAT_FORMS[kind].join('\n       ') };
  if (kind === 'netmap') {
    const netmap = readNetmap(words);
    if (netmap !== undefined) draft.netmaps.push(netmap);
  } else {
    const rule = READERS[kind](words);
    if (rule !== undefined) draft.natLines.push(rule);
  }
}
