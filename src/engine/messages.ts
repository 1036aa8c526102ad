/** What the control plane and the data plane say to each other. Plain data, sent by MessagePort. */
import type { CompressionFraming } from '../protocol/framing.ts';
import type { NatSettings, NetmapRule } from '../nat/rule.ts';
import type { SessionFilter } from '../nat/session-filter.ts';
import type { DeviceType } from '../packet/ethernet.ts';
import type { Zone } from '../packet/zone.ts';
import type { CompiledTables } from '../route/compile.ts';
import type { UdpOffload } from '../transport/port.ts';
import type { RawSockets } from '../udp/raw.ts';
import type { DirectionKeys, Suite } from '../crypto/provider.ts';
import type { OperatorErrorDetail } from '../errors.ts';

/** Everything the data plane needs to know of one peer. Times in seconds, sizes in bytes. */
export interface PeerSettings {
  readonly suite: Suite;
  readonly sealKeys: DirectionKeys;
  readonly openKeys: DirectionKeys;
  /** No key direction: both ends use the same keys, so our own packets could be reflected at us. */
  readonly sharedKeys: boolean;
  readonly replay: { readonly enabled: boolean; readonly window: number; readonly timeSec: number };
  /** What an earlier process has left (`replay-persist`). */
  readonly replayMemory?: ReplayMemory | undefined;
  readonly framing: CompressionFraming;
  /** With `fragment`: the longest fragment, bytes of framed payload; 0 without. */
  readonly maxFragment: number;
  readonly allowRecursiveRouting: boolean;
  /** Outer headers get the DSCP of inner ones. */
  readonly passTos: boolean;
  /** `shaper`; 0 is off. */
  readonly shaperBytesPerSec: number;
  /** Longest packet the peer takes, bytes, link header not counted: its `tun-mtu`. */
  readonly tunMtu: number;
  /** Link header in front of each packet, which no MTU counts: Ethernet's with `dev tap`. */
  readonly linkHeader: number;
  /** What stock counts in its place for mssfix (`tun-mtu-extra`). */
  readonly tunMtuExtra: number;
  readonly mtuProbe: MtuProbeSetting;
  /** Sources need no route to this peer (stock's point-to-point mode); our own addresses are refused all the same. */
  readonly anySource: boolean;
  readonly netmap: readonly NetmapRule[];
  readonly pingSec: number;
  readonly pingTimeoutSec: number;
  readonly pingTimeoutAction: 'restart' | 'exit';
  readonly pingTimerNeedsRemote: boolean;
  readonly inactiveSec: number;
  readonly inactiveBytes: number;
  readonly sessionTimeoutSec: number;
  /** Send OCC requests of our own (replies are always given). */
  readonly occ: boolean;
}

/** What holds on the way to one remote. */
export interface PeerWay {
  /** Socket addresses; none: the peer speaks first. */
  readonly remotes: readonly Uint8Array[];
  /** The peer may send from elsewhere, and is followed there. */
  readonly float: boolean;
  /** Goes on where the last way had the peer (`persist-remote-ip`). */
  readonly keep: boolean;
  /** MSS clamp; 0 is off. */
  readonly mss: number;
  /** Exit messages, one a second; streams have none. */
  readonly exitNotify: number;
  /** Our option string, the answer to an OCC request: it tells which protocol the link has. */
  readonly occOptions: string;
}

/** When the path MTU is measured: not, after the peer was first heard, or then and every so many seconds. */
export type MtuProbeSetting = 'off' | 'start' | { readonly everySec: number };

/** Epochs are Unix seconds of the sender. */
export interface ReplayMemory {
  /** Highest epoch received, and the highest id in it; 0 for none. */
  readonly epoch: number;
  readonly top: number;
  /** Epochs of our own packets, ascending. */
  readonly ownEpochs: readonly number[];
}

/** The address of ours that a peer talks to (`multihome`), and the index of the interface it comes in by. */
export interface LocalAddress {
  readonly address: string;
  readonly interfaceIndex: number;
}

export type RestartReason =
  | 'ping-restart'
  | 'remote-exit'
  | 'sigusr1'
  | 'control'
  /** Of a stream: it has ended, or carried what was not made with the key, or not in order. */
  | 'connection-reset'
  | 'decryption-error'
  /** A TCP connection that did not come about; the control plane's own word. */
  | 'connection-failed';
export type ExitReason = 'ping-exit' | 'inactive' | 'session-timeout';

/** What holds for all peers of one engine. */
export interface EngineSettings {
  /** `tap`: packets are Ethernet frames, and the device is a link to one peer whatever else is said here. */
  readonly deviceType: DeviceType;
  /** MTU of the device: the longest packet there is, super-packets aside, and link headers not counted. */
  readonly tunMtu: number;
  /**
   * The device is a link to one peer, as stock's: every packet from the kernel goes to it, multicast and link-local
   * included, and routes do not matter.
   */
  readonly pointToPoint: boolean;
  /** Forward between peers here; without it the kernel gets what peers send each other. */
  readonly clientToClient: boolean;
  /** Source of ICMP errors, 4 and 16 bytes; undefined when the device has no such address. */
  readonly address4: Uint8Array | undefined;
  readonly address6: Uint8Array | undefined;
}

/** Peers and links are known by small numbers that the main thread gives out. */
export type EngineCommand =
  | {
      readonly kind: 'add-peer';
      readonly peer: number;
      readonly settings: PeerSettings;
      /** From Counters.allocate(). */
      readonly counters: SharedArrayBuffer;
    }
  /** Says goodbye (exit notifications) and forgets the peer; answered by `removed`. */
  | { readonly kind: 'remove-peer'; readonly peer: number }
  /** A socket, which the worker then owns. A link of one peer closes with that peer's restart, a shared one does not. */
  | {
      readonly kind: 'open-link';
      readonly link: number;
      readonly udpFd: number;
      readonly offload: UdpOffload;
      /** For probes; the worker borrows them. Undefined without CAP_NET_RAW. */
      readonly raw: RawSockets | undefined;
      readonly shared: boolean;
    }
  /** A connection to one peer at the socket address `remote`; as `open-link`. */
  | {
      readonly kind: 'open-stream';
      readonly link: number;
      readonly fd: number;
      readonly remote: Uint8Array;
      /** The peer whose it may turn out to be; undefined when `connect` will tell. */
      readonly candidateOf: number | undefined;
    }
  /** Waits for a descriptor, which stays the sender's: `descriptor-ready` says so once. */
  | { readonly kind: 'watch'; readonly id: number; readonly fd: number; readonly writable: boolean }
  | { readonly kind: 'unwatch'; readonly fd: number }
  /** A second peer comes to a link that was opened for one. */
  | { readonly kind: 'share-link'; readonly link: number }
  /** Answered by `link-closed`. */
  | { readonly kind: 'close-link'; readonly link: number }
  /** Starts or resumes a peer on a link. */
  | {
      readonly kind: 'connect';
      readonly peer: number;
      readonly link: number;
      readonly way: PeerWay;
    }
  /** This host sends to the peer by another way, which may have another MTU. */
  | { readonly kind: 'way-changed'; readonly peer: number }
  | { readonly kind: 'tables'; readonly tables: CompiledTables }
  /** Packets to the outer addresses of these peers come back to them by the tunnels: none is sent. */
  | { readonly kind: 'recursive'; readonly peers: readonly number[] }
  | { readonly kind: 'settings'; readonly settings: EngineSettings }
  | { readonly kind: 'nat'; readonly settings: NatSettings }
  /** A raw ICMP socket, which the worker then owns; undefined closes the one there is. */
  | { readonly kind: 'icmp-socket'; readonly fd: number | undefined }
  | { readonly kind: 'restart'; readonly peer: number; readonly reason: RestartReason }
  /** Answered by `answer` with the same id. */
  | { readonly kind: 'query'; readonly id: number; readonly query: EngineQuery }
  /** The process has another user (`user`): the worker gives up the rights it does not need. */
  | { readonly kind: 'confine' }
  /** Ends the data plane, after exit notifications if configured. */
  | { readonly kind: 'stop' };

/** Questions only the data plane can answer. */
export type EngineQuery =
  /** Packets and bytes of the routes from position `first` to before `end` of the list that was compiled last: a Float64Array. */
  | { readonly kind: 'route-hits'; readonly first: number; readonly end: number }
  /** A SessionPage from row `from` on. */
  | { readonly kind: 'nat-list'; readonly from: number; readonly filter: SessionFilter }
  | { readonly kind: 'nat-rules' }
  | { readonly kind: 'nat-flush'; readonly filter: SessionFilter }
  /** Measures the path to a peer, which takes seconds: a MeasurementAnswer. */
  | { readonly kind: 'mtu'; readonly peer: number }
  /** Where would this packet go? Nothing is sent, counted or remembered. */
  | { readonly kind: 'trace'; readonly from: Zone; readonly packet: Uint8Array };

export type EngineEvent =
  /** `notes`: why a faster provider was passed over. */
  | { readonly kind: 'ready'; readonly providerDescription: string; readonly notes: readonly string[] }
  | { readonly kind: 'failed'; readonly error: OperatorErrorDetail }
  /** A valid payload came from a new address; `first` since the last connect. */
  | {
      readonly kind: 'peer';
      readonly peer: number;
      readonly endpoint: string;
      readonly via?: LocalAddress;
      readonly first: boolean;
    }
  | { readonly kind: 'occ'; readonly peer: number; readonly options: string }
  /** What may be sent to the peer has changed. */
  | { readonly kind: 'path-mtu'; readonly peer: number; readonly change: PathMtuChange }
  /** From the configured remote of no peer on that link. */
  | { readonly kind: 'rejected-source'; readonly link: number; readonly endpoint: string }
  /** At most one in 10 s and peer: `address` is not one this peer may use. */
  | { readonly kind: 'spoofed'; readonly peer: number; readonly address: string }
  /** The kernel refused an offload for the first time; single packets are used instead. */
  | { readonly kind: 'offload-failed'; readonly offload: 'UDP GSO' | 'TUN super-packets' }
  /** The peer stands still until its next `connect`; its link is closed unless shared. */
  | { readonly kind: 'restarting'; readonly peer: number; readonly reason: RestartReason }
  /** What came over a stream cannot be a datagram of `length` bytes; `restarting` follows. */
  | { readonly kind: 'bad-length'; readonly peer: number; readonly length: number; readonly longest: number }
  /**
   * Datagrams to the peer do not arrive, says the host or router `reporter`, or they do not even leave (undefined). Told once
   * in a silence of the peer.
   */
  | {
      readonly kind: 'unreachable';
      readonly peer: number;
      readonly endpoint: string;
      readonly errno: number;
      readonly reporter: string | undefined;
    }
  /** A connection to a TCP server was not the peer's after all, and is closed. */
  | {
      readonly kind: 'turned-away';
      readonly peer: number;
      readonly endpoint: string;
      readonly why: TurnedAway;
    }
  | { readonly kind: 'descriptor-ready'; readonly id: number }
  | { readonly kind: 'link-closed'; readonly link: number }
  /** The peer has ended for good, by its own configuration. */
  | { readonly kind: 'exit'; readonly peer: number; readonly reason: ExitReason }
  | { readonly kind: 'removed'; readonly peer: number }
  /** No crypto provider knows the suite of a peer to be added. */
  | { readonly kind: 'refused'; readonly peer: number; readonly error: OperatorErrorDetail }
  | { readonly kind: 'answer'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'stopped' };

/**
 * `silent`: it brought nothing in time. `crowded`: more came than are held. `forged`: what it brought was not made with the
 * key, or not new. `bad-length`: ...or cannot be a datagram. `closed`: it ended. `outdone`: another one is the peer's.
 */
export type TurnedAway = 'silent' | 'crowded' | 'forged' | 'bad-length' | 'closed' | 'outdone';

/** Sizes in bytes, undefined for no limit known. */
export interface PathMtuChange {
  readonly why: 'measured' | 'told' | 'forgotten';
  /** Longest IP packets that pass. */
  readonly toPeer: number | undefined;
  readonly fromPeer: number | undefined;
  /** Longest inner packet. */
  readonly inner: number;
  /** Clamp, 0 for none. */
  readonly mss: number;
  /** IP packet of the longest fragment, 0 without `fragment`. */
  readonly fragment: number;
}
