/**
 * Writes LZ4 blocks and LZO1X streams from lists of steps, with their output beside them: the oracle for the
 * decompressors. A step that the format cannot say at that point is left out.
 */
export interface LzStep {
  readonly literals: Uint8Array;
  /** How far back the match begins, as a fraction of what there is. */
  readonly back: number;
  readonly length: number;
}

export interface Written {
  readonly stream: Uint8Array;
  readonly output: Uint8Array;
}

function copyMatch(output: number[], distance: number, length: number): void {
  for (let i = 0; i < length; i++) output.push(output[output.length - distance]);
}

function distanceOf(back: number, available: number): number {
  return Math.max(1, Math.ceil(back * available));
}

export function writeLz4(steps: readonly LzStep[]): Written {
  const stream: number[] = [];
  const output: number[] = [];
  const more = (value: number): number[] =>
    value < 15 ? [] : [...Array<number>(Math.floor((value - 15) / 255)).fill(255), (value - 15) % 255];
  for (const [i, { literals, back, length }] of steps.entries()) {
    const last = i === steps.length - 1;
    const match = last || output.length + literals.length === 0 ? undefined : Math.max(4, length) - 4;
    stream.push((Math.min(15, literals.length) << 4) | Math.min(15, match ?? 0));
    stream.push(...more(literals.length), ...literals);
    output.push(...literals);
    if (match === undefined) return { stream: Uint8Array.from(stream), output: Uint8Array.from(output) };
    const distance = Math.min(65535, distanceOf(back, output.length));
    stream.push(distance & 255, distance >> 8, ...more(match));
    copyMatch(output, distance, match + 4);
  }
  return { stream: Uint8Array.of(0), output: Uint8Array.of() };
}

/** Long lengths of LZO: zero bytes for 255 each, then the rest, which is not zero. */
function longer(value: number): number[] {
  const zeros = Math.floor((value - 1) / 255);
  return [...Array<number>(zeros).fill(0), value - 255 * zeros];
}

export function writeLzo(steps: readonly LzStep[]): Written {
  const stream: number[] = [];
  const output: number[] = [];
  /** Literals since the last match: 0 to 3, or 4 for more. */
  let state = 0;
  /** Where the last two bits of the last match are, which say how many literals follow. */
  let trailer = -1;
  const literals = (bytes: Uint8Array): void => {
    if (bytes.length === 0 || state !== 0) return;
    if (stream.length === 0 && bytes.length <= 238) stream.push(17 + bytes.length);
    else if (bytes.length <= 3) {
      if (trailer < 0) return;
      stream[trailer] |= bytes.length;
    } else if (bytes.length <= 18) stream.push(bytes.length - 3);
    else stream.push(0, ...longer(bytes.length - 18));
    stream.push(...bytes);
    output.push(...bytes);
    state = Math.min(4, bytes.length);
  };
  const match = (distance: number, length: number): void => {
    const near = distance - 1;
    if (length === 2 && distance <= 1024 && state >= 1 && state <= 3) {
      stream.push((near & 3) << 2, near >> 2);
      trailer = stream.length - 2;
    } else if (length === 3 && distance > 2048 && distance <= 3072 && state === 4) {
      stream.push(((distance - 2049) & 3) << 2, (distance - 2049) >> 2);
      trailer = stream.length - 2;
    } else if (length >= 3 && length <= 8 && distance <= 2048) {
      const code = length <= 4 ? 0x40 | ((length - 3) << 5) : 0x80 | ((length - 5) << 5);
      stream.push(code | ((near & 7) << 2), near >> 3);
      trailer = stream.length - 2;
    } else if (length >= 3 && distance <= 49151) {
      const far = distance > 16384;
      const most = far ? 9 : 33;
      const high = far ? ((distance - 16384) >> 14) << 3 : 0;
      const low = far ? (distance - 16384) & 0x3fff : near;
      stream.push((far ? 16 : 32) | high | (length <= most ? length - 2 : 0));
      if (length > most) stream.push(...longer(length - most));
      stream.push((low & 63) << 2, low >> 6);
      trailer = stream.length - 2;
    } else return;
    copyMatch(output, distance, length);
    state = 0;
  };
  for (const step of steps) {
    literals(step.literals);
    // Distance 16384 in the long form is the end of the stream.
    const distance = distanceOf(step.back, output.length);
    if (output.length > 0 && distance <= output.length) match(distance, step.length);
  }
  stream.push(17, 0, 0);
  return { stream: Uint8Array.from(stream), output: Uint8Array.from(output) };
}
