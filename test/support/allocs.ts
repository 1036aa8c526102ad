/** Measures what a function allocates on the JavaScript heap. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const WARM_UP_ROUNDS = 5;
const ROUNDS = 8;

/**
 * Heap bytes that one call of `action` allocates: the least of several rounds of `calls` calls, after warming up, so
 * that compilation and other one-time costs do not count. `calls` should be high enough for a single 16-byte object
 * per call to stand out (10 000), and low enough that no collection happens in between.
 */
export function bytesPerCall(action: () => void, calls = 10_000): number {
  for (let i = 0; i < WARM_UP_ROUNDS * calls; i++) action();
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < calls; i++) action();
    least = Math.min(least, process.memoryUsage().heapUsed - before);
  }
  return Math.max(0, least) / calls;
}
