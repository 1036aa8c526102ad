/** Every link has a key of its own. */
import { createHash } from 'node:crypto';
import { ExitCode, formatPosition, OperatorError } from '../../errors.ts';
import type { SourcePosition } from '../../errors.ts';
import type { Findings } from '../findings.ts';

export interface PeerKey {
  readonly peer: string;
  readonly where: SourcePosition;
  readonly key: Uint8Array;
}

/** Records keys that two peers have in common. The keys themselves are in no message. */
export function checkKeys(keys: readonly PeerKey[], findings: Findings): void {
  const known = new Map<string, PeerKey>();
  for (const link of keys) {
    const { peer, where, key } = link;
    const digest = createHash('sha256').update(key).digest('hex');
    const first = known.get(digest);
    if (first === undefined) {
      known.set(digest, link);
      continue;
    }
    findings.errors.push(
      new OperatorError({
        code: 'KEY_TWICE',
        what: `${first.peer} and ${peer} have the same key`,
        why: `whoever has the key of one link could be the other; the other line is ${formatPosition(first.where)}`,
        fix: 'make a key for each link with `tsvpn genkey FILE`, and copy it to the other end of that link only',
        where,
        exitCode: ExitCode.Key,
      }),
    );
  }
}
