/** Microseconds to seal and to open one packet, by provider and suite, and by payload and size of the batch. */
import type { CryptoProvider, Suite } from '../crypto/provider.ts';
import { randomPool } from '../crypto/random.ts';
import { PROVIDER_NAMES, selectProvider } from '../crypto/select.ts';
import { NativeArena } from '../ffi/memory.ts';
import { Batch, type BatchShape } from '../packet/batch.ts';
import type { InProcessBench, InProcessReading } from './in-process.ts';
import type { Scale } from './measurements.ts';
import { SUITE_NAMES, suiteOf } from './suites.ts';

/** What a busy tunnel mostly has: half a super-packet of full TCP segments. */
const USUAL: Load = { packets: 32, payload: 1408 };
const LOADS: readonly Load[] = [64, 512, 1408].flatMap((payload) =>
  [1, 4, 8, 32, 64].map((packets) => ({ packets, payload })),
);
const SHAPE: BatchShape = { slots: 64, capacity: 2048 };
const ROUNDS = 5;
const ROUND_MS = 50;
const QUICK_ROUND_MS = 15;

interface Load {
  /** Packets in one call. */
  readonly packets: number;
  /** Bytes of each before it is sealed. */
  readonly payload: number;
}

export const codec: InProcessBench = {
  name: 'codec',
  title: `Seal and open packets of ${USUAL.payload} bytes, by crypto provider and suite (one core)`,
  run: measureSuites,
};

export const codecBatches: InProcessBench = {
  name: 'codec-batches',
  title: 'Seal and open, AES-256-CBC/SHA256, by crypto provider, payload and packets per call (one core)',
  run: measureLoads,
};

function* measureLoads(scale: Scale): Generator<InProcessReading> {
  const batch = new Batch(new NativeArena(Batch.arenaSize(SHAPE)), SHAPE);
  const suite = suiteOf('AES-256-CBC', 'SHA256');
  for (const name of PROVIDER_NAMES) {
    const provider = providerFor(suite, name);
    if (provider === undefined) continue;
    for (const load of LOADS) {
      const contender = `${name} ${load.payload} bytes, ${load.packets} at once`;
      yield { contender, values: measure(provider, suite, batch, load, roundMs(scale)) };
    }
    provider.dispose();
  }
}

function roundMs({ quick }: Scale): number {
  return quick ? QUICK_ROUND_MS : ROUND_MS;
}

function* measureSuites(scale: Scale): Generator<InProcessReading> {
  const batch = new Batch(new NativeArena(Batch.arenaSize(SHAPE)), SHAPE);
  for (const name of PROVIDER_NAMES) {
    for (const [cipher, auth] of SUITE_NAMES) {
      const suite = suiteOf(cipher, auth);
      const provider = providerFor(suite, name);
      if (provider === undefined) continue;
      const contender = `${name} ${cipher}/${auth}`;
      yield { contender, values: measure(provider, suite, batch, USUAL, roundMs(scale)) };
      provider.dispose();
    }
  }
}

/** Undefined when the provider is not here or does not have the suite. */
function providerFor(suite: Suite, name: string): CryptoProvider | undefined {
  try {
    return selectProvider(suite, { forced: name, legacy: true });
  } catch {
    return undefined;
  }
}

function measure(
  provider: CryptoProvider,
  suite: Suite,
  batch: Batch,
  { packets, payload }: Load,
  minRoundMs: number,
) {
  const keys = {
    cipher: new Uint8Array(suite.cipher.keySize).fill(1),
    hmac: new Uint8Array(suite.digest.size).fill(2),
  };
  const sealer = provider.createSealer(suite, keys, randomPool());
  const opener = provider.createOpener(suite, keys);
  const fresh = () => {
    for (let slot = 0; slot < packets; slot++) batch.commit(slot, payload);
  };
  const sealed = () => {
    fresh();
    sealer.seal(batch, 0, packets);
  };
  const seal = leastTime(fresh, () => sealer.seal(batch, 0, packets), minRoundMs);
  const open = leastTime(sealed, () => opener.open(batch, 0, packets), minRoundMs);
  sealer.dispose();
  opener.dispose();
  return { seal: seal / packets, open: open / packets };
}

/** Least mean time of `work` over some rounds, in microseconds. */
function leastTime(prepare: () => void, work: () => void, minRoundMs: number): number {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    let spent = 0;
    let calls = 0;
    for (; spent < minRoundMs; calls++) {
      prepare();
      const start = performance.now();
      work();
      spent += performance.now() - start;
    }
    least = Math.min(least, (spent * 1000) / calls);
  }
  return least;
}
