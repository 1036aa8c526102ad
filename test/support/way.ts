import type { PeerWay } from '../../src/engine/messages.ts';

/** What a test may say of the way to a peer. */
export type WayOptions = Partial<Omit<PeerWay, 'remotes'>>;

/** To these socket addresses, with the defaults of a config without MSS clamp. */
export function wayTo(remotes: readonly Uint8Array[], options: WayOptions = {}): PeerWay {
  const { float = false, keep = false, mss = 0, exitNotify = 0, occOptions = 'V4,test' } = options;
  return { remotes, float, keep, mss, exitNotify, occOptions };
}
