/** What a function allocates on the JavaScript heap. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const ROUNDS = 5;

/** Heap bytes of one call: the least of some rounds, so that a collection or compilation in between does not count. */
export function allocatedBytes(action: () => void): number {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    action();
    least = Math.min(least, process.memoryUsage().heapUsed - before);
  }
  return Math.max(0, least);
}
