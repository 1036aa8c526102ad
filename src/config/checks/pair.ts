/** Faults between two lines: reported at the second, which names the first. */
import { formatPosition } from '../../errors.ts';
import type { SourcePosition } from '../../errors.ts';
import type { Draft } from '../draft.ts';
import { refuse } from '../findings.ts';
import type { Findings } from '../findings.ts';
import type { PeerConfig } from '../model.ts';

/** A peer, and the lines it comes from. */
export interface BuiltPeer {
  readonly config: PeerConfig;
  readonly draft: Draft;
}

export interface Fault {
  readonly code: string;
  readonly what: string;
  readonly why: string;
  readonly fix: string;
}

/** Records a fault of `second` that lies in its relation to `first`. */
export function refusePair(
  findings: Findings,
  first: SourcePosition,
  second: SourcePosition,
  { code, what, why, fix }: Fault,
): void {
  refuse(findings, second, code, what, { why: `${why}; the other line is ${formatPosition(first)}`, fix });
}

/** Where the peer says `ifconfig`, or else where it begins. */
export function ifconfigPosition({ config, draft }: BuiltPeer, ipv6 = false): SourcePosition {
  const setting = ipv6 ? draft.settings.ifconfig6 : draft.settings.ifconfig;
  return setting?.where ?? config.where;
}
