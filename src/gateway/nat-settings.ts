/** From the `nat` lines of the config and the addresses the host has now, to the data plane's rules. */
import type { GatewayConfig, NatLine } from '../config/model.ts';
import type { NatRule, NatSettings, PortRange, SnatAddress } from '../nat/rule.ts';
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

function ruleOf(line: NatLine, id: number, ports: PortRange, referents: NatReferents): NatRule {
  const { addresses, tunnelAddress, peers } = referents;
  const { text, where, match } = line;
  const base = { id, text, where, match };
  const own = addresses[id];
  const shared: SnatAddress | undefined = own && { address: own, ports, shared: true };
  const tunnel: SnatAddress | undefined = tunnelAddress && {
    address: tunnelAddress,
    ports: FREE_PORTS,
    shared: false,
  };
  const indexOf = (peer: string | undefined) => (peer === undefined ? undefined : peers.get(peer));
  if (line.kind === 'none') return { ...base, kind: 'none' };
  if (line.kind === 'dnat') {
    const { from, to, toPort } = line;
    if (from.kind === 'peers') {
      const snat = line.snat ? shared : undefined;
      return { ...base, kind: 'dnat', from: 'peers', peer: indexOf(from.peer), to, toPort, snat };
    }
    // Without an address to forward from, the line matches what nobody sends: 0.0.0.0/32.
    const destination = match.destination ?? {
      bytes: own ?? new Uint8Array(4),
      length: own?.length === 16 ? 128 : 32,
    };
    const snat = line.snat ? tunnel : undefined;
    return {
      ...base,
      match: { ...match, destination },
      kind: 'dnat',
      from: 'tun',
      peer: undefined,
      to,
      toPort,
      snat,
    };
  }
  const { target } = line;
  switch (target.kind) {
    case 'masquerade':
      return { ...base, kind: 'snat', out: 'tun', egress: target.egress, peer: undefined, to: shared };
    case 'alias': {
      const to = { address: target.address, ports: FREE_PORTS, shared: false };
      return { ...base, kind: 'snat', out: 'tun', egress: target.egress, peer: undefined, to };
    }
    case 'tunnel':
      return {
        ...base,
        kind: 'snat',
        out: 'peers',
        egress: undefined,
        peer: indexOf(target.peer),
        to: tunnel,
      };
  }
}
