/** What a payload that makes no sense tells of the peer's config, beyond the check it failed. */
import { DropReason, type Verdict } from '../packet/verdict.ts';
import { readInt32 } from '../packet/word.ts';
import { Marker } from '../protocol/constants.ts';
import { FRAGMENT_HEADER_SIZE } from '../protocol/fragmentation.ts';
import { isOcc } from '../protocol/occ.ts';
import { isPing } from '../protocol/ping.ts';

/**
 * A better reason than `verdict`, which is Framing or InnerVersion, for the payload as it was received: a whole packet
 * behind the header of `fragment`, a message of the peer without compression marker, or a marker that nobody expects.
 */
export function explainPayload(
  verdict: Verdict,
  bytes: Uint8Array,
  start: number,
  length: number,
  fragments: boolean,
): Verdict {
  if (!fragments && length >= FRAGMENT_HEADER_SIZE && readInt32(bytes, start) === 0)
    return DropReason.PeerFragments;
  if (verdict === DropReason.Framing) {
    return isPing(bytes, start, length) || isOcc(bytes, start, length) ? DropReason.Unframed : verdict;
  }
  // Neither is the first byte of an IP packet.
  const marker = bytes[start];
  return marker === Marker.None || marker === Marker.NoneSwapped ? DropReason.PeerFraming : verdict;
}
