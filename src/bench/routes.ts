/** Look-ups per second in compiled routing tables of several sizes, their memory, and the time to compile them. */
import { plural } from '../control/units.ts';
import { maskBytes, type Prefix } from '../packet/prefix.ts';
import { compile, type CompiledTable } from '../route/compile.ts';
import { Fib } from '../route/fib.ts';
import { RoutingTable } from '../route/table.ts';
import type { InProcessBench, InProcessReading } from './in-process.ts';
import type { Scale } from './measurements.ts';

const SIZES = [1, 1000, 100_000];
const FAMILIES = [4, 6] as const;
/** The usual size of a network, bits. */
const PREFIX_LENGTH = { 4: 24, 6: 48 };
/** Different destinations of a round: too many for a processor to learn the way to each. */
export const DESTINATIONS = 65_536;
const ROUNDS = 5;
const ROUND_MS = 50;
const QUICK_ROUND_MS = 15;
const PEERS = new Map([['peer', 0]]);

export const routes: InProcessBench = {
  name: 'routes',
  title: 'Routing table: random networks (/24, /48), look-ups of random addresses inside them (one core)',
  run: measureTables,
};

function* measureTables(scale: Scale): Generator<InProcessReading> {
  for (const family of FAMILIES) {
    for (const size of SIZES) {
      const contender = `IPv${family}, ${plural(size, 'route')}`;
      yield { contender, values: measure(size, family, scale.quick ? QUICK_ROUND_MS : ROUND_MS) };
    }
  }
}

function measure(size: number, family: 4 | 6, minRoundMs: number) {
  const prefixes = randomNetworks(size, family);
  const list = tableOf(prefixes).list();
  let table: CompiledTable | undefined;
  const compileTime = leastTime(() => (table = compile(list, PEERS, { fallthrough: false })), minRoundMs);
  const destinations = destinationsIn(prefixes, family);
  const fib = new Fib(table!);
  let found = 0;
  const lookUpAll = () =>
    (found += family === 4 ? lookUpAll4(fib, destinations) : lookUpAll6(fib, destinations));
  const lookupTime = leastTime(lookUpAll, minRoundMs) / DESTINATIONS;
  if (found % DESTINATIONS !== 0) throw new Error('a destination has no route');
  return { lookups: 1 / (lookupTime * 1000), compile: compileTime, tableSize: sizeOf(table!) / 1000 };
}

/** A table with one route, to the peer `peer`, for each prefix. */
function tableOf(prefixes: readonly Prefix[]): RoutingTable {
  const table = new RoutingTable();
  const source = { kind: 'operator' } as const;
  table.replace(
    'operator',
    prefixes.map((prefix) => ({ prefix, kind: 'peer', peer: 'peer', metric: 0, source })),
  );
  return table;
}

/** The same in every run. */
export function randomNetworks(count: number, family: 4 | 6): Prefix[] {
  const random = pseudoRandom();
  const length = PREFIX_LENGTH[family];
  const networks = new Map<string, Prefix>();
  while (networks.size < count) {
    const bytes = maskBytes(
      Uint8Array.from({ length: family === 4 ? 4 : 16 }, () => random() & 255),
      length,
    );
    networks.set(bytes.join(), { bytes, length });
  }
  return [...networks.values()];
}

/** xorshift32. */
function pseudoRandom(): () => number {
  let state = 0x9e3779b9 | 0;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** DESTINATIONS addresses in a row, each inside one of the prefixes. */
export function destinationsIn(prefixes: readonly Prefix[], family: 4 | 6): Uint8Array {
  const random = pseudoRandom();
  const size = family === 4 ? 4 : 16;
  const all = new Uint8Array(DESTINATIONS * size);
  for (let i = 0; i < DESTINATIONS; i++) {
    const { bytes, length } = prefixes[random() % prefixes.length];
    all.set(bytes, i * size);
    for (let byte = length / 8; byte < size; byte++) all[i * size + byte] = random();
  }
  return all;
}

function lookUpAll4(fib: Fib, destinations: Uint8Array): number {
  let found = 0;
  for (let i = 0; i < destinations.length; i += 4) if (fib.lookup4(destinations, i) >= 0) found++;
  return found;
}

function lookUpAll6(fib: Fib, destinations: Uint8Array): number {
  let found = 0;
  for (let i = 0; i < destinations.length; i += 16) if (fib.lookup6(destinations, i) >= 0) found++;
  return found;
}

/** Bytes of all arrays in it. */
function sizeOf(value: object): number {
  if (ArrayBuffer.isView(value)) return value.byteLength;
  return Object.values(value).reduce<number>((sum, part: object) => sum + sizeOf(part), 0);
}

/** Least mean time of `work` over some rounds, milliseconds. */
function leastTime(work: () => void, minRoundMs: number): number {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    let spent = 0;
    let calls = 0;
    for (; spent < minRoundMs; calls++) {
      work();
      spent = performance.now() - start;
    }
    least = Math.min(least, spent / calls);
  }
  return least;
}
