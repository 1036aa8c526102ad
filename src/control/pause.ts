/** A pause in which this thread does nothing else. */
const never = new Int32Array(new SharedArrayBuffer(4));

export function pauseSync(milliseconds: number): void {
  Atomics.wait(never, 0, 0, milliseconds);
}
