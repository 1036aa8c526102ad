/** Measures what a function allocates on the JavaScript heap. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Rounds without a new least value after which it is believed: by then the compilers have caught up. */
const SETTLED_ROUNDS = 12;
const MAX_ROUNDS = 100;

/**
 * Heap bytes that one call of `action` allocates: the least of many rounds of `calls` calls, measured until it no
 * longer falls, so that compilation and other one-time costs do not count, however busy the machine is. `calls`
 * should be high enough for a single 16-byte object per call to stand out (10 000), and low enough that no
 * collection happens in between.
 */
export function bytesPerCall(action: () => void, calls = 10_000): number {
  let least = Infinity;
  let settled = 0;
  for (let round = 0; round < MAX_ROUNDS && settled < SETTLED_ROUNDS && least > 0; round++) {
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < calls; i++) action();
    const allocated = process.memoryUsage().heapUsed - before;
    // A collection in between makes the difference negative: that round says nothing.
    if (allocated >= 0 && allocated < least) {
      least = allocated;
      settled = 0;
    } else {
      settled++;
    }
  }
  return least / calls;
}
