/** What belongs to one way to the peer: the lines in front, or those of the remote's `<connection>` block. */
import type { DirectiveLines } from '../errors.ts';
import type { PeerConfig, Remote } from './model.ts';

export const DEFAULT_PORT = 1194;

export interface ConnectionSettings {
  readonly localHost: string | undefined;
  /** Local port; 0 lets the kernel choose. */
  readonly localPort: number;
  /** False for `nobind`. */
  readonly bind: boolean;
  /** A TCP client binds its socket only for `bind`, `lport` or `local`. */
  readonly bindClient: boolean;
  readonly ipv6Only: boolean;
  readonly mtuDiscovery: 'yes' | 'maybe' | 'no' | undefined;
  /** `connect-retry n [max]`, seconds. */
  readonly connectRetrySec: number;
  readonly connectRetryMaxSec: number;
  /** `connect-timeout`, seconds: for a TCP connection to come about. */
  readonly connectTimeoutSec: number;
  readonly float: boolean;
  /** `explicit-exit-notify`: exit messages, one a second, over UDP; 0 is off. */
  readonly exitNotify: number;
  /** Where `local` and the port stand. */
  readonly lines: DirectiveLines;
}

/** Those on the way to a remote; undefined for a peer without one. */
export function connectionSettings(
  transport: PeerConfig['transport'],
  remote: Remote | undefined,
): ConnectionSettings {
  return remote?.connection ?? transport;
}
