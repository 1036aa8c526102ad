/**
 * The state of one running tunnel and of its peers, as `status` shows it. The shape is a published interface:
 * docs/status.schema.json describes it, and a change that removes or renames something needs a new number in
 * STATUS_SCHEMA.
 */
import type { TransportProtocol } from '../protocol/constants.ts';

export const STATUS_SCHEMA = 'tsvpn.status/2';

/**
 * `waiting`: no valid packet received yet; `silent`: connected before, nothing received for longer than expected;
 * `restarting`: SIGUSR1 or ping-restart in progress; `ended`: by its own config (`ping-exit`, `inactive`), others go on.
 */
export const PEER_STATES = [
  'starting',
  'waiting',
  'connected',
  'silent',
  'restarting',
  'exiting',
  'ended',
] as const;
export type PeerState = (typeof PEER_STATES)[number];

/** With one peer its state. With several: `connected` when all are, `partial` when some are, `waiting` when none is. */
export const TUNNEL_STATES = [
  'starting',
  'waiting',
  'partial',
  'connected',
  'silent',
  'restarting',
  'exiting',
] as const;
export type TunnelState = (typeof TUNNEL_STATES)[number];

export interface TrafficCount {
  readonly packets: number;
  readonly bytes: number;
}

/** Bytes through compression framing; OpenVPN's status file shows them when framing is configured. */
interface CompressionBytes {
  readonly preCompress: number;
  readonly postCompress: number;
  readonly preDecompress: number;
  readonly postDecompress: number;
}

/** `tun*`: inner packets; `udp*`: datagrams, UDP payload bytes; read and write as this process does them. */
export interface Traffic {
  readonly tunRead: TrafficCount;
  readonly tunWrite: TrafficCount;
  readonly udpRead: TrafficCount;
  readonly udpWrite: TrafficCount;
  /** Authenticated payload bytes, pings and OCC messages included. */
  readonly authReadBytes: number;
  /** Null without compression framing. */
  readonly compression: CompressionBytes | null;
}

/** Packets by drop reason (control/drops.ts); reasons that never occurred are absent. */
export type Drops = Readonly<Record<string, number>>;

/** How many there are, and the first of them. */
export interface Prefixes {
  readonly count: number;
  /** `10.1.0.0/16`; at most PREFIXES_SHOWN. */
  readonly first: readonly string[];
}

export const PREFIXES_SHOWN = 20;

export interface PeerStatus {
  readonly name: string;
  readonly state: PeerState;
  /** ISO 8601, UTC. */
  readonly stateSince: string;
  /** SIGUSR1 and ping-restart since the start. */
  readonly restarts: number;
  readonly configFile: string;
  /** Its addresses inside the tunnel, as far as the config tells them. */
  readonly addresses: readonly string[];
  /** What lies behind it by the config, its own addresses not counted. */
  readonly routes: Prefixes;
  /** What carries the packets at the moment, or is about to. */
  readonly protocol: TransportProtocol;
  /** Outer socket address we listen on: `0.0.0.0:1194`, `[::]:1194`. */
  readonly local: string | null;
  /** Address we try now, of the `remote` whose turn it is: null without `remote`, and until its name resolves. */
  readonly remote: string | null;
  /** Outer address it was last heard from: `192.0.2.1:1194`, null while it was not. */
  readonly endpoint: string | null;
  readonly crypto: {
    readonly cipher: string;
    readonly digest: string;
    /** First 8 hex digits of SHA-256 over the 256 key bytes: equal on both ends, tells nothing about the key. */
    readonly keyFingerprint: string;
  };
  /** Milliseconds since the last packet that passed authentication, null before the first. */
  readonly lastPacketAgeMs: number | null;
  /** What the network answers in the peer's place since its last packet, and how often: `ECONNREFUSED` for a closed port. */
  readonly unreachable: { readonly error: string; readonly times: number } | null;
  /** `tunRead`: inner packets to the peer, `tunWrite`: from it, whichever door they use on this side. */
  readonly traffic: Traffic;
  readonly drops: Drops;
  /** What the kernel moves in one piece, and the socket buffers it granted. */
  readonly socket: {
    /** UDP_SEGMENT. */
    readonly udpSegment: boolean;
    /** UDP_GRO. */
    readonly udpReceive: boolean;
    readonly receiveBufferBytes: number;
    readonly sendBufferBytes: number;
    /** Other peers use it too. */
    readonly shared: boolean;
  };
  readonly mtu: {
    readonly tunMtu: number;
    /** Longest packet inside that is sent to the peer: `tunMtu`, or less on a narrow path. */
    readonly inner: number;
    /** TCP MSS that SYNs are clamped to (IPv4), null with mssfix off. */
    readonly mss: number | null;
    /** Longest IP packet that passes to the peer; null when it is not known. */
    readonly path: number | null;
  };
}

/** What the NAT holds at the moment; `tsvpn nat rules` shows more. */
export interface NatStatus {
  readonly sessions: number;
  readonly maxSessions: number;
  readonly halfOpen: number;
  /** External addresses with the ports taken, those that have any. `protocol`: IP protocol number. */
  readonly ports: readonly {
    readonly address: string;
    readonly protocol: number;
    readonly used: number;
    readonly total: number;
  }[];
}

export interface TunnelStatus {
  readonly schema: typeof STATUS_SCHEMA;
  /** Version of the running tsvpn. */
  readonly version: string;
  readonly name: string;
  readonly pid: number;
  readonly state: TunnelState;
  /** ISO 8601, UTC. */
  readonly stateSince: string;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly uptimeSec: number;
  readonly configFiles: readonly string[];
  /** Interface name, null before it is open. */
  readonly device: string | null;
  /** `tap`: Ethernet frames, all of them to the one peer. */
  readonly deviceType: 'tun' | 'tap';
  readonly tunMtu: number;
  /** Inner addresses as `ip address` takes them: `10.4.0.1 peer 10.4.0.2`, `10.8.0.1/24`, `fd00::1/64`. */
  readonly addresses: readonly string[];
  /** Of the routing table, whatever their source; `tsvpn route list` shows all. */
  readonly routes: Prefixes;
  /** Null without `nat` lines. */
  readonly nat: NatStatus | null;
  /** For example `OpenSSL 3.0.19`. */
  readonly cryptoProvider: string;
  /** `tun*`: of the device; the rest: of all peers. */
  readonly traffic: Traffic;
  /** Of all peers, and of packets that are no peer's. */
  readonly drops: Drops;
  /** ICMP errors that this gateway sent itself. */
  readonly icmpSent: number;
  readonly offload: {
    /** Super-packets on the TUN device. */
    readonly tun: 'none' | 'checksum' | 'tso' | 'tso+uso';
    /** Times an offload failed and single packets were used instead. */
    readonly fallbacks: number;
  };
  /** In the order of the config. */
  readonly peers: readonly PeerStatus[];
}

/** The state of a tunnel by the states of its peers. */
export function overallState(states: readonly PeerState[]): TunnelState {
  const [first] = states;
  const alike = states.every((state) => state === first);
  if (first !== undefined && alike) return first === 'ended' ? 'exiting' : first;
  return states.includes('connected') ? 'partial' : 'waiting';
}
