/**
 * The state of one running tunnel, as `status` shows it. The shape is a published interface: docs/status.schema.json
 * describes it, and a change that removes or renames something needs a new number in STATUS_SCHEMA.
 */

export const STATUS_SCHEMA = 'tsvpn.status/1';

/**
 * `waiting`: no valid packet received yet; `silent`: connected before, nothing received for longer than expected;
 * `restarting`: SIGUSR1 or ping-restart in progress.
 */
export const TUNNEL_STATES = ['starting', 'waiting', 'connected', 'silent', 'restarting', 'exiting'] as const;
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
  /** SIGUSR1 and ping-restart since the start. */
  readonly restarts: number;
  readonly configFile: string;
  /** Interface name, null before it is open. */
  readonly device: string | null;
  /** Inner addresses as `ip address` takes them: `10.4.0.1 peer 10.4.0.2`, `10.8.0.1/24`, `fd00::1/64`. */
  readonly addresses: readonly string[];
  /** Networks behind the peer: `10.1.0.0/16`. */
  readonly routes: readonly string[];
  /** Outer socket address we listen on: `0.0.0.0:1194`, `[::]:1194`. */
  readonly local: string | null;
  /** Address we try now, of the `remote` whose turn it is: null without `remote`, and until its name resolves. */
  readonly remote: string | null;
  /** Outer address the peer was last heard from: `192.0.2.1:1194`, null while it was not. */
  readonly endpoint: string | null;
  readonly crypto: {
    /** For example `OpenSSL 3.0.19`. */
    readonly provider: string;
    readonly cipher: string;
    readonly digest: string;
    /** First 8 hex digits of SHA-256 over the 256 key bytes: equal on both ends, tells nothing about the key. */
    readonly keyFingerprint: string;
  };
  /** Milliseconds since the last packet that passed authentication, null before the first. */
  readonly lastPacketAgeMs: number | null;
  /** `tun*`: inner packets; `udp*`: datagrams, UDP payload bytes; read and write as this process does them. */
  readonly traffic: {
    readonly tunRead: TrafficCount;
    readonly tunWrite: TrafficCount;
    readonly udpRead: TrafficCount;
    readonly udpWrite: TrafficCount;
    /** Authenticated payload bytes, pings and OCC messages included. */
    readonly authReadBytes: number;
    /** Null without compression framing. */
    readonly compression: CompressionBytes | null;
  };
  /** Packets by drop reason (control/drops.ts); reasons that never occurred are absent. */
  readonly drops: Readonly<Record<string, number>>;
  /** What the kernel moves in one piece, and the socket buffers it granted. */
  readonly offload: {
    /** Super-packets on the TUN device. */
    readonly tun: 'none' | 'checksum' | 'tso' | 'tso+uso';
    /** UDP_SEGMENT. */
    readonly udpSegment: boolean;
    /** UDP_GRO. */
    readonly udpReceive: boolean;
    /** Times an offload failed and single packets were used instead. */
    readonly fallbacks: number;
    readonly receiveBufferBytes: number;
    readonly sendBufferBytes: number;
  };
  readonly mtu: {
    readonly tunMtu: number;
    /** TCP MSS that SYNs are clamped to (IPv4), null with mssfix off. */
    readonly mss: number | null;
  };
}
