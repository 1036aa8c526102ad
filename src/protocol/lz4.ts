/**
 * Decompresses one LZ4 block (lz4_Block_format.md of the LZ4 project). A block is a row of sequences:
 *
 *     token │ more literal length │ literals │ match offset, little endian │ more match length
 *
 * The token's upper half is the number of literals, its lower half the length of the match less 4; 15 means that bytes
 * follow which are added to it, up to and including the first that is not 255. The last sequence ends behind its literals.
 */
import { MALFORMED } from './decompression.ts';

const MIN_MATCH = 4;
const MORE = 15;

/**
 * Decompresses `bytes[start .. end)` to `bytes[to ...]`, at most `capacity` bytes; returns how many, or MALFORMED when the
 * input breaks off, points outside of what it has produced, or would need more room. The two ranges must not overlap.
 */
export function decompressLz4(
  bytes: Uint8Array,
  start: number,
  end: number,
  to: number,
  capacity: number,
): number {
  const limit = to + capacity;
  let from = start;
  let at = to;
  while (from < end) {
    const token = bytes[from++];
    let literals = token >>> 4;
    if (literals === MORE) {
      let more = 255;
      while (more === 255) {
        if (from === end) return MALFORMED;
        more = bytes[from++];
        literals += more;
      }
    }
    if (literals > end - from || literals > limit - at) return MALFORMED;
    for (const stop = from + literals; from < stop;) bytes[at++] = bytes[from++];
    if (from === end) return at - to;

    if (end - from < 2) return MALFORMED;
    const offset = bytes[from] | (bytes[from + 1] << 8);
    from += 2;
    if (offset === 0 || offset > at - to) return MALFORMED;
    let length = token & MORE;
    if (length === MORE) {
      let more = 255;
      while (more === 255) {
        if (from === end) return MALFORMED;
        more = bytes[from++];
        length += more;
      }
    }
    length += MIN_MATCH;
    if (length > limit - at) return MALFORMED;
    // The match may reach into what it produces: it is copied in order, byte by byte.
    for (const stop = at + length; at < stop; at++) bytes[at] = bytes[at - offset];
  }
  return MALFORMED;
}
