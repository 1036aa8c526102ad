/** What the control plane and the data plane say to each other. Plain data, sent by MessagePort. */
import type { CompressionFraming } from '../protocol/framing.ts';
import type { UdpOffload } from '../udp/port.ts';
import type { DirectionKeys, Suite } from '../crypto/provider.ts';

/** Everything the data plane needs to know of one peer. Times in seconds, sizes in bytes. */
export interface PeerSettings {
  readonly suite: Suite;
  readonly sealKeys: DirectionKeys;
  readonly openKeys: DirectionKeys;
  /** No key direction: both ends use the same keys, so our own packets could be reflected at us. */
  readonly sharedKeys: boolean;
  readonly replay: { readonly enabled: boolean; readonly window: number; readonly timeSec: number };
  readonly framing: CompressionFraming;
  readonly float: boolean;
  readonly allowRecursiveRouting: boolean;
  /** MTU of the TUN device: the longest packet there is, super-packets aside. */
  readonly tunMtu: number;
  readonly pingSec: number;
  readonly pingTimeoutSec: number;
  readonly pingTimeoutAction: 'restart' | 'exit';
  readonly pingTimerNeedsRemote: boolean;
  readonly exitNotify: number;
  readonly inactiveSec: number;
  readonly inactiveBytes: number;
  readonly sessionTimeoutSec: number;
  /** Send OCC requests of our own (replies are always given). */
  readonly occ: boolean;
  /** Our option string, the answer to an OCC request. */
  readonly occOptions: string;
}

export type RestartReason = 'ping-restart' | 'remote-exit' | 'sigusr1' | 'sighup' | 'control';
export type ExitReason = 'ping-exit' | 'inactive' | 'session-timeout';

export type EngineCommand =
  /** Starts or resumes with a fresh socket, which the worker then owns. */
  | {
      readonly kind: 'connect';
      readonly offload: UdpOffload;
      readonly udpFd: number;
      readonly remotes: readonly Uint8Array[];
      readonly mss: number;
    }
  | { readonly kind: 'restart'; readonly reason: RestartReason }
  /** Ends the data plane, after exit notifications if configured. */
  | { readonly kind: 'stop' };

export type EngineEvent =
  /** `notes`: why a faster provider was passed over. */
  | { readonly kind: 'ready'; readonly providerDescription: string; readonly notes: readonly string[] }
  | { readonly kind: 'failed'; readonly error: WorkerError }
  /** A valid payload came from a new address; `first` since the last connect. */
  | { readonly kind: 'peer'; readonly endpoint: string; readonly first: boolean }
  | { readonly kind: 'occ'; readonly options: string }
  | { readonly kind: 'rejected-source'; readonly endpoint: string }
  /** The kernel refused an offload for the first time; single packets are used instead. */
  | { readonly kind: 'offload-failed'; readonly offload: 'UDP GSO' | 'TUN super-packets' }
  /** The socket is closed and traffic stands still until the next `connect`. */
  | { readonly kind: 'restarting'; readonly reason: RestartReason }
  | { readonly kind: 'exit'; readonly reason: ExitReason }
  | { readonly kind: 'stopped' };

/** An OperatorError, flattened to cross the thread boundary. */
export interface WorkerError {
  readonly code: string;
  readonly what: string;
  readonly why: string | undefined;
  readonly fix: string | undefined;
  readonly exitCode: number;
}
