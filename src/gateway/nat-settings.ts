/** From the `nat` lines of the config and the addresses the host has now, to the data plane's rules. */
import type { GatewayConfig, NatLine } from '../config/model.ts';
import type { DnatRule, NatRule, NatSettings, PortRange, SnatAddress, SnatRule } from '../nat/rule.ts';
import { hostPrefix } from '../packet/prefix.ts';
import type { PeerIndexes } from './routing.ts';

/** Half-open sessions of one host, and how fast it may open new ones: per second, and at once. */
const PER_HOST_HALF_OPEN = 256;
const PER_HOST_RATE = 200;
const PER_HOST_BURST = 400;

/** All but the well-known ports, which nobody expects as a source. */
const FREE_PORTS: PortRange = { first: 1024, last: 65535 };

/** What the interfaces and peers that the lines name are at the moment. */
export interface NatReferents {
  /** By position of the line: the address of its interface, undefined for other lines and while it has none. */
  readonly addresses: readonly (Uint8Array | undefined)[];
  /** Our address inside the tunnel, IPv4; undefined without one. */
  readonly tunnelAddress: Uint8Array | undefined;
  readonly peers: PeerIndexes;
}

export function natSettings({ nat }: GatewayConfig, referents: NatReferents): NatSettings {
  const { timeouts, maxSessions, perHost, tcpMapping, udpFiltering, unmatched, ports } = nat;
  return {
    rules: nat.lines.map((line, id) => ruleOf(line, id, ports, referents)),
    timeouts,
    maxSessions,
    perHost,
    perHostHalfOpen: Math.min(PER_HOST_HALF_OPEN, perHost),
    perHostRate: PER_HOST_RATE,
    perHostBurst: PER_HOST_BURST,
    tcpMapping,
    udpFiltering,
    unmatched,
  };
}

type Line<Kind extends NatLine['kind']> = Extract<NatLine, { kind: Kind }>;

/** Addresses a line may translate to, undefined while there are none. */
interface Outside {
  /** Of the interface that the line names: with ports lent by the kernel. */
  readonly shared: SnatAddress | undefined;
  /** Inside the tunnel. */
  readonly tunnel: SnatAddress | undefined;
}

function ruleOf(line: NatLine, id: number, ports: PortRange, referents: NatReferents): NatRule {
  const { text, where, match } = line;
  const base = { id, text, where, match };
  const own = referents.addresses[id];
  const { tunnelAddress } = referents;
  const outside = {
    shared: own && { address: own, ports, shared: true },
    tunnel: tunnelAddress && { address: tunnelAddress, ports: FREE_PORTS, shared: false },
  };
  const indexOf = (peer: string | undefined) => (peer === undefined ? undefined : referents.peers.get(peer));
  switch (line.kind) {
    case 'none':
      return { ...base, kind: 'none' };
    case 'dnat':
      return { ...base, ...dnatOf(line, outside, indexOf) };
    case 'snat':
      return { ...base, ...snatOf(line, outside, indexOf) };
  }
}

type IndexOf = (peer: string | undefined) => number | undefined;

function dnatOf(
  { from, to, toPort, snat, match }: Line<'dnat'>,
  { shared, tunnel }: Outside,
  indexOf: IndexOf,
): Omit<DnatRule, 'id' | 'text' | 'where'> {
  const target = { kind: 'dnat', to, toPort } as const;
  if (from.kind === 'peers') {
    return { ...target, match, from: 'peers', peer: indexOf(from.peer), snat: snat ? shared : undefined };
  }
  // Without an address to forward from, the line matches what nobody sends: 0.0.0.0/32.
  const destination = match.destination ?? hostPrefix(shared?.address ?? new Uint8Array(4));
  const own = { ...match, destination };
  return { ...target, match: own, from: 'tun', peer: undefined, snat: snat ? tunnel : undefined };
}

function snatOf(
  { target }: Line<'snat'>,
  { shared, tunnel }: Outside,
  indexOf: IndexOf,
): Omit<SnatRule, 'id' | 'text' | 'where' | 'match'> {
  switch (target.kind) {
    case 'masquerade':
      return { kind: 'snat', out: 'tun', egress: target.egress, peer: undefined, to: shared };
    case 'alias': {
      const to = { address: target.address, ports: FREE_PORTS, shared: false };
      return { kind: 'snat', out: 'tun', egress: target.egress, peer: undefined, to };
    }
    case 'tunnel':
      return { kind: 'snat', out: 'peers', egress: undefined, peer: indexOf(target.peer), to: tunnel };
  }
}
