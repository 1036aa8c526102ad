/** What the background process of `up --daemon` tells the parent that waits in the terminal. */
import type { OperatorErrorDetail } from '../errors.ts';

export type DaemonReport =
  /** `device`: null while the start waits for a client of the management interface. */
  | { readonly kind: 'started'; readonly pid: number; readonly device: string | null }
  /** Every peer has answered. */
  | { readonly kind: 'connected'; readonly endpoints: readonly string[] }
  | { readonly kind: 'failed'; readonly errors: readonly OperatorErrorDetail[] };

/** Set in the environment of the background process alone. */
export const DAEMON_MARK = 'TSVPN_DAEMON';

/** `with-texts`: what was read from pipes waits at its standard input. */
export type DaemonMark = 'plain' | 'with-texts';
