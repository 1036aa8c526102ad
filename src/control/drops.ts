/**
 * What each drop reason means to an operator. The names are those of packet/verdict.ts in kebab-case; the type
 * of the table makes a reason without an explanation a compile error. docs/drop-reasons.md is generated from it.
 */
import { DropReason } from '../packet/verdict.ts';

const EXPLANATIONS: Readonly<Record<keyof typeof DropReason, string>> = {
  Short:
    'datagram too short to hold HMAC, IV and one cipher block; not from an OpenVPN peer with this cipher',
  TooLong: 'datagram or packet larger than a buffer slot',
  BadLength: 'ciphertext is not a whole number of cipher blocks; cipher or auth differ from the peer',
  Auth: 'HMAC differs: wrong key, wrong key-direction, other auth digest, or tampering',
  Decrypt: 'HMAC right but padding wrong: the cipher differs from the peer',
  Header: 'decrypted payload too short for a packet id; no-replay differs from the peer',
  IllegalId: 'packet id 0, which no sender uses; no-replay may differ from the peer',
  Replay:
    'packet id already received or older than the replay window; a few come from reordering on the path',
  ReplayExpired: 'packet id within the window but later than the replay window allows',
  TimeBacktrack: "packet from before the peer's last restart, or the peer's clock went backwards",
  Reflected: 'our own packet came back to us; use key-direction 0 and 1 so that this cannot work',
  Source: 'datagram from another address than remote; add float if the peer may move',
  Framing: 'unknown compression marker: comp-lzo or compress differs from the peer',
  Compressed: "packet compressed by the peer; remove compression there, or write the peer's line here",
  Occ: 'unknown or truncated OpenVPN control message',
  InnerVersion:
    'inner packet is neither IPv4 nor IPv6; cipher, compression, fragment or dev-type differ from the peer',
  InnerHeader: 'lengths in the inner IP header contradict the bytes received',
  NoPeer: "nothing can be sent: the peer's address is not known yet, or there is no connection to it",
  Recursive:
    'inner destination is the outer address of a peer, and its route leads the tunnel into itself or in a circle',
  SendBuffer: "the kernel's socket buffer was full; raise sndbuf if this keeps growing",
  SendFailed: 'the kernel refused to send: no route to the peer, interface down, or a local firewall',
  TunWrite: 'the kernel refused the packet on the TUN device: link down or packet invalid',
  IdRollover: 'all packet ids of this second are used up',
  Empty: 'empty payload, ignored',
  PeerRestarting: 'packet arrived while the tunnel was restarting',
  MessageSize: "datagram larger than the path's MTU and may not be fragmented; lower tun-mtu or mssfix",
  HeaderChecksum: 'wrong IPv4 header checksum in a packet from a peer',
  SourceRoute: 'packet from a peer with a source-route option',
  Martian: 'source or destination that never crosses a router: loopback, 0/8, 240/4, multicast source',
  NotForwarded:
    'multicast, broadcast or link-local: carried only on a link to one peer, or to the `peer-address` it is',
  Redirect: 'ICMP redirect or router advertisement, never carried through the tunnel',
  Spoofed: 'inner source is not routed to the peer that sent it; allowed-source would allow it',
  NoRoute: 'no route to the destination; `tsvpn route get ADDRESS` explains',
  PeerDown: "the route's peer is lost and no backup route is usable",
  Blackhole: 'a blackhole route',
  Unreachable: 'an unreachable route',
  Prohibit: 'a prohibit route',
  Loop: 'the route leads back to the peer the packet came from',
  TtlExceeded: 'TTL used up on the way; traceroute causes some, a routing loop many',
  TooBig: "longer than the next peer's MTU and not to be fragmented; the sender was told, except on tap",
  IcmpChecksum: 'ICMP message with a wrong checksum',
  IcmpUnrelated: 'ICMP error about no session of ours',
  NatFiltered: 'unsolicited packet to a translated address; a `nat dnat` line would let it in',
  NatNoPort: 'all external ports are taken; widen nat-ports or add an address',
  NatTableFull: 'the session table is full; raise nat-max-sessions',
  NatHostLimit: 'the inside host has as many sessions as nat-per-host allows',
  NatRateLimit: 'the inside host opens sessions too fast',
  NatProtocol: 'another inside host uses this protocol without ports with the same remote',
  NatFragment: 'fragment without its first part, too small or overlapping',
  NatEgress: "the kernel's route leaves by another interface than the nat rule names",
  NatUnmappable: 'the address has no counterpart under the prefix translation',
  NatHeader: 'transport header cut short: cannot be translated',
  Decompression: 'compressed payload is malformed, or longer than a packet may be',
  FragmentHeader: 'no fragment header: the peer has no `fragment` line, or another compression',
  PeerFragments: 'fragment header: the peer has a `fragment` line, and this end has none',
  FragmentLost: 'packet of which not all fragments came, or not within 10 s: loss on the path',
  Unframed: 'no compression marker: this end has a `comp-lzo` or `compress` line, and the peer has none',
  PeerFraming: 'compression marker: the peer has a `comp-lzo` or `compress` line, and this end has none',
  FragmentMemory: 'too many packets of which fragments are missing, of all peers together',
  Congestion:
    'datagram marked as congested around a packet without ECN (`passtos`): lost as a router would lose it',
  Shaped: "beyond the rate of the peer's `shaper`, and other packets must not wait for it",
  EthernetHeader: 'shorter than an Ethernet header: the peer has no `dev tap`, or another compression',
};

export interface DropDescription {
  /** Number in packet/verdict.ts. */
  readonly reason: DropReason;
  /** Kebab-case name used in status, logs and metrics. */
  readonly name: string;
  /** One line for operators: what it means and where to look. */
  readonly explanation: string;
}

const kebabCase = (name: string) => name.replace(/(?<=.)[A-Z]/g, '-$&').toLowerCase();

/** All reasons in the order of their numbers. */
export const DROPS: readonly DropDescription[] = Object.entries(DropReason)
  .map(([name, reason]) => ({
    reason,
    name: kebabCase(name),
    explanation: EXPLANATIONS[name as keyof typeof DropReason],
  }))
  .toSorted((a, b) => a.reason - b.reason);

const byName = new Map(DROPS.map((drop) => [drop.name, drop]));

export function explainDrop(name: string): string | undefined {
  return byName.get(name)?.explanation;
}

/** Names and counts of the reasons that occurred, from `count(reason)` of each. */
export function dropCounts(count: (reason: DropReason) => number): Record<string, number> {
  const counted = DROPS.map(({ reason, name }) => [name, count(reason)] as const);
  return Object.fromEntries(counted.filter(([, packets]) => packets > 0));
}

/** docs/drop-reasons.md; a test compares it with the file. */
export function renderDropTable(): string {
  const table = [['reason', 'meaning'], ...DROPS.map((drop) => [`\`${drop.name}\``, drop.explanation])];
  const widths = [0, 1].map((column) => Math.max(...table.map((row) => row[column].length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`;
  const [head, ...body] = table.map(line);
  return [
    '# Drop reasons',
    '',
    'Every packet tsvpn does not deliver is counted under one of these names. `tsvpn status` shows the counts.',
    'Generated from `src/control/drops.ts`; `npx vitest run test/control -u` rewrites it.',
    '',
    head,
    line(widths.map((width) => '-'.repeat(width))),
    ...body,
    '',
  ].join('\n');
}
