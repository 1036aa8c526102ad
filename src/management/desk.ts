/** What the commands of a client work on. */
import type { Mute } from '../control/mute.ts';
import type { RemoteEntry } from '../control/overseer.ts';
import type { Traffic } from '../control/status.ts';
import type { Hold } from './hold.ts';
import type { History } from './history.ts';
import type { Questions } from './questions.ts';

export const KNOWN_SIGNALS = ['SIGHUP', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const;
export type KnownSignal = (typeof KNOWN_SIGNALS)[number];

/** The process, as far as a client may look at it and change it. */
export interface Managed {
  /** Totals since the start; undefined while there is no tunnel yet. */
  traffic(): Traffic | undefined;
  /** `remote` lines, in the order of the config; undefined while there is no tunnel yet. */
  remotes(): readonly RemoteEntry[] | undefined;
  verb(): number;
  setVerb(level: number): void;
  /** Of the log. */
  readonly mute: Mute;
  raise(signal: KnownSignal): void;
}

export interface Desk {
  readonly managed: Managed;
  readonly states: History;
  readonly log: History;
  readonly echo: History;
  readonly hold: Hold;
  readonly questions: Questions;
  /** `auth-retry`, which no static-key tunnel has a use for. */
  authRetry: string;
  /** `env-filter`, which concerns clients of a server only. */
  envFilter: number;
  /** `>BYTECOUNT:` every so many seconds; 0 is off. */
  countBytes(seconds: number): void;
  /** Ends the session. */
  leave(): void;
}
