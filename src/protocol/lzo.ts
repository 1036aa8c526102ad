/**
 * Decompresses one LZO1X stream (Documentation/staging/lzo.rst of the Linux kernel describes the format). A stream is a
 * row of instructions, each of which copies a match from earlier output, or literals. Of 16 bits little endian, two are
 * for something else:
 *
 *     instruction byte     then            length                    distance
 *     1 L L D D D S S      H               5 + L                     (H << 3) + D + 1
 *     0 1 L D D D S S      H               3 + L                     (H << 3) + D + 1
 *     0 0 1 L L L L L      D*14 S S        2 + L, L = 0: 33 + more   D + 1
 *     0 0 0 1 H L L L      D*14 S S        2 + L, L = 0: 9 + more    16384 + (H << 14) + D; D = H = 0 ends the stream
 *     0 0 0 0 L L L L                      3 + L literals, L = 0: 18 + more
 *     0 0 0 0 D D S S      H               2                         (H << 2) + D + 1       behind 1 to 3 literals
 *     0 0 0 0 D D S S      H               3                         (H << 2) + D + 2049    behind 4 or more
 *
 * S literals, 0 to 3, follow a match. "More" is 255 for each zero byte that follows, and the first that is not zero. A
 * stream may begin with a byte above 17, which means that number less 17 of literals.
 */
import { MALFORMED } from './decompression.ts';

/** What the stream has done last, which is what an instruction below 16 depends on. */
const AFTER_MATCH = 0;
/** 1 to 3: so many literals behind a match. */
const AFTER_LITERALS = 4;

/** Where the reader is; one object, set anew for each stream. */
const input = { at: 0, end: 0 };

/**
 * Decompresses `bytes[start .. end)` to `bytes[to ...]`, at most `capacity` bytes; returns how many, or MALFORMED when the
 * input breaks off, points outside of what it has produced, goes on behind its end, or would need more room. The two
 * ranges must not overlap.
 */
export function decompressLzo(
  bytes: Uint8Array,
  start: number,
  end: number,
  to: number,
  capacity: number,
): number {
  const limit = to + capacity;
  input.at = start;
  input.end = end;
  let at = to;
  let state = AFTER_MATCH;
  let literals = 0;
  if (start < end && bytes[start] > 17) {
    literals = bytes[input.at++] - 17;
    state = Math.min(literals, AFTER_LITERALS);
  }
  for (;;) {
    if (literals > input.end - input.at || literals > limit - at) return MALFORMED;
    for (let i = 0; i < literals; i++) bytes[at++] = bytes[input.at++];

    if (input.at === end) return MALFORMED;
    const code = bytes[input.at++];
    if (code < 16 && state === AFTER_MATCH) {
      literals = 3 + (code === 0 ? longer(bytes, 15) : code);
      state = AFTER_LITERALS;
      continue;
    }
    let length: number;
    let distance: number;
    if (code >= 16 && code < 64) {
      const far = code < 32;
      const short = code & (far ? 7 : 31);
      length = 2 + (short === 0 ? longer(bytes, far ? 7 : 31) : short);
      if (end - input.at < 2) return MALFORMED;
      const word = bytes[input.at] | (bytes[input.at + 1] << 8);
      input.at += 2;
      distance = (word >>> 2) + (far ? 16384 + ((code & 8) << 11) : 1);
      state = word & 3;
      if (far && distance === 16384) return input.at === end ? at - to : MALFORMED;
    } else {
      if (input.at === end) return MALFORMED;
      const high = bytes[input.at++];
      if (code >= 64) {
        length = code >= 128 ? 5 + ((code >>> 5) & 3) : 3 + ((code >>> 5) & 1);
        distance = (high << 3) + ((code >>> 2) & 7) + 1;
      } else {
        length = state === AFTER_LITERALS ? 3 : 2;
        distance = (high << 2) + (code >>> 2) + (state === AFTER_LITERALS ? 2049 : 1);
      }
      state = code & 3;
    }
    if (distance > at - to || length > limit - at) return MALFORMED;
    // The match may reach into what it produces: it is copied in order, byte by byte.
    for (const stop = at + length; at < stop; at++) bytes[at] = bytes[at - distance];
    literals = state;
  }
}

/** A length that its instruction has no room for: `base` and what follows. Past the end of the input it is anything. */
function longer(bytes: Uint8Array, base: number): number {
  let length = base;
  while (input.at < input.end && bytes[input.at] === 0) {
    length += 255;
    input.at++;
  }
  return input.at < input.end ? length + bytes[input.at++] : length;
}
