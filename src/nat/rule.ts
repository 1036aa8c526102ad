/**
 * NAT rules as the config says them, in file order; the first that matches a new session decides. Plain data, so that
 * they cross the thread boundary.
 */
import type { SourcePosition } from '../errors.ts';
import type { Prefix } from '../packet/prefix.ts';
import type { Zone } from '../packet/zone.ts';

/** Ports, inclusive. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** What a packet must look like; a field that is undefined matches everything. */
export interface RuleMatch {
  readonly source: Prefix | undefined;
  readonly destination: Prefix | undefined;
  /** IP protocol number. */
  readonly protocol: number | undefined;
  readonly sourcePorts: PortRange | undefined;
  readonly destinationPorts: PortRange | undefined;
}

/** Where translated sessions come out. */
export interface SnatAddress {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** Ports and ICMP identifiers given out: `range` mode has few, `alias` mode and tunnel addresses have all above 1023. */
  readonly ports: PortRange;
  /**
   * Range mode: the address is the gateway's own. ICMP queries go out by the raw socket, UDP mappings have guard sockets,
   * and what matches no session is somebody else's.
   */
  readonly shared: boolean;
}

interface RuleBase {
  /** Position in the list, the number that `nat rules` shows; from 0. */
  readonly id: number;
  /** The line as written, for people. */
  readonly text: string;
  readonly where: SourcePosition;
  readonly match: RuleMatch;
}

/** SRC appears as `to`, when it leaves by `out`. */
export interface SnatRule extends RuleBase {
  readonly kind: 'snat';
  /** `tun`: the kernel sends it out of interface `egress`; `peers`: into the tunnel, to any peer or the one named. */
  readonly out: 'tun' | 'peers';
  /** Interface name, of out `tun`; the kernel's route must agree (egress probe). */
  readonly egress: string | undefined;
  /** Peer index, of out `peers`; undefined is any. */
  readonly peer: Zone | undefined;
  /** Undefined while the interface has no address: matching packets are dropped (fail closed). */
  readonly to: SnatAddress | undefined;
}

/** Packets to the matched destination go to `to` instead. */
export interface DnatRule extends RuleBase {
  readonly kind: 'dnat';
  /** `peers`: packets from peers (or the one named); `tun`: packets captured on an interface of this host. */
  readonly from: 'peers' | 'tun';
  readonly peer: Zone | undefined;
  readonly to: Uint8Array;
  /** Port of the new destination; undefined keeps the port. */
  readonly toPort: number | undefined;
  /** `snat`: the source is translated as well, to this address, so that answers come back this way. */
  readonly snat: SnatAddress | undefined;
}

/** No translation for what matches. */
export interface NoNatRule extends RuleBase {
  readonly kind: 'none';
}

export type NatRule = SnatRule | DnatRule | NoNatRule;

/**
 * Stateless 1:1 translation of one peer (`client-nat`, `nat netmap`): `snat` rules map addresses on our side of it,
 * `dnat` rules those on the peer's side. Outbound is local to wire, inbound the inverse.
 */
export interface NetmapRule {
  readonly kind: 'snat' | 'dnat';
  /** As we see it. */
  readonly local: Prefix;
  /** As the wire sees it; of equal length. For IPv6 the translation is NPTv6 (RFC 6296). */
  readonly wire: Prefix;
  readonly where: SourcePosition;
}

/** Seconds. */
export interface NatTimeouts {
  readonly udp: number;
  readonly udpOneWay: number;
  readonly udpDns: number;
  readonly tcpEstablished: number;
  readonly tcpPartial: number;
  readonly tcpClosing: number;
  readonly icmp: number;
  readonly other: number;
  readonly fragment: number;
  readonly portQuarantine: number;
}

export interface NatSettings {
  readonly rules: readonly NatRule[];
  readonly timeouts: NatTimeouts;
  readonly maxSessions: number;
  readonly perHost: number;
  readonly perHostHalfOpen: number;
  /** New sessions per second and host, and the burst, below 2^16. */
  readonly perHostRate: number;
  readonly perHostBurst: number;
  readonly tcpMapping: 'edm' | 'eim';
  readonly udpFiltering: 'adf' | 'eif';
  /** What arrives at a shared address and matches no session. */
  readonly unmatched: 'reinject' | 'drop';
}
