/** Microseconds to seal and to open one packet, by provider and suite. */
import type { CryptoProvider, Suite } from '../crypto/provider.ts';
import { randomPool } from '../crypto/random.ts';
import { PROVIDER_NAMES, selectProvider } from '../crypto/select.ts';
import { NativeArena } from '../ffi/memory.ts';
import { Batch, type BatchShape } from '../packet/batch.ts';
import type { InProcessBench, InProcessReading } from './in-process.ts';
import type { Scale } from './measurements.ts';
import { SUITE_NAMES, suiteOf } from './suites.ts';

const SLOTS = 32;
const SHAPE: BatchShape = { slots: SLOTS, capacity: 2048 };
/** A full segment of TCP through a tunnel: what a batch mostly holds. */
const PAYLOAD = 1408;
const ROUNDS = 5;
const ROUND_MS = 50;
const QUICK_ROUND_MS = 15;

export const codec: InProcessBench = {
  name: 'codec',
  title: `Seal and open packets of ${PAYLOAD} bytes, by crypto provider and suite (one core)`,
  run: measureAll,
};

function* measureAll(scale: Scale): Generator<InProcessReading> {
  const batch = new Batch(new NativeArena(Batch.arenaSize(SHAPE)), SHAPE);
  for (const name of PROVIDER_NAMES) {
    for (const [cipher, auth] of SUITE_NAMES) {
      const suite = suiteOf(cipher, auth);
      const provider = providerFor(suite, name);
      if (provider === undefined) continue;
      const contender = `${name} ${cipher}/${auth}`;
      yield { contender, values: measure(provider, suite, batch, scale.quick ? QUICK_ROUND_MS : ROUND_MS) };
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

function measure(provider: CryptoProvider, suite: Suite, batch: Batch, roundMs: number) {
  const keys = {
    cipher: new Uint8Array(suite.cipher.keySize).fill(1),
    hmac: new Uint8Array(suite.digest.size).fill(2),
  };
  const sealer = provider.createSealer(suite, keys, randomPool());
  const opener = provider.createOpener(suite, keys);
  const fresh = () => {
    for (let slot = 0; slot < SLOTS; slot++) batch.commit(slot, PAYLOAD);
  };
  const sealed = () => {
    fresh();
    sealer.seal(batch, 0, SLOTS);
  };
  const seal = microseconds(fresh, () => sealer.seal(batch, 0, SLOTS), roundMs);
  const open = microseconds(sealed, () => opener.open(batch, 0, SLOTS), roundMs);
  sealer.dispose();
  opener.dispose();
  return { seal, open };
}

/** Least mean time of a batch over some rounds, as µs per packet. */
function microseconds(prepare: () => void, work: () => void, roundMs: number): number {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    let spent = 0;
    let packets = 0;
    while (spent < roundMs) {
      prepare();
      const start = performance.now();
      work();
      spent += performance.now() - start;
      packets += SLOTS;
    }
    least = Math.min(least, (spent * 1000) / packets);
  }
  return least;
}
