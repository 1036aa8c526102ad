/**
 * Who watches a gateway and has a word in its course: the management interface (src/management). The gateway knows no
 * more of it than this.
 */
export type StateName =
  | 'CONNECTING'
  | 'RESOLVE'
  | 'TCP_CONNECT'
  | 'ASSIGN_IP'
  | 'ADD_ROUTES'
  | 'CONNECTED'
  | 'RECONNECTING'
  | 'EXITING';

interface Place {
  readonly address: string;
  readonly port: number;
}

/** A state by OpenVPN's name. */
export interface StateChange {
  readonly name: StateName;
  /** `SUCCESS`, or the reason of a restart or of the end. */
  readonly detail?: string;
  /** Our own addresses in the tunnel. */
  readonly ipv4?: string | undefined;
  readonly ipv6?: string | undefined;
  readonly remote?: Place | undefined;
  readonly local?: Place | undefined;
}

export interface RemoteEntry {
  readonly host: string;
  readonly port: number;
  /** `udp`, `udp4`, `tcp-client`... */
  readonly proto: string;
}

/** Use the remote, go on to the next one, or use this one in its place. */
export type RemoteAnswer = 'accept' | 'skip' | { readonly host: string; readonly port: number };

export interface Overseer {
  state(change: StateChange): void;
  /** Device and routes are there, or about to go: what scripts would be told. */
  upDown(direction: 'UP' | 'DOWN', environment: Readonly<Record<string, string>>): void;
  /**
   * Before the pause of a restart. Resolves when there is no need to wait, or no longer, or at `ended`; true when it took the
   * place of the pause.
   */
  hold(pauseSec: number, ended: AbortSignal): Promise<boolean>;
  /** Before a remote is looked up. */
  choose(remote: RemoteEntry, ended: AbortSignal): Promise<RemoteAnswer>;
}

export const NOBODY: Overseer = {
  state: () => undefined,
  upDown: () => undefined,
  hold: () => Promise.resolve(false),
  choose: () => Promise.resolve('accept'),
};
