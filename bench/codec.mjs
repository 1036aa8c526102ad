/**
 * Microseconds to seal and to open one packet, per provider and suite. No root, no network.
 *
 *     npm run build && node bench/codec.mjs [payload bytes]
 */
import { lookupCipher, lookupDigest } from '../dist/crypto/algorithms.js';
import { createNobleProvider } from '../dist/crypto/noble.js';
import { createOpenSslProvider } from '../dist/crypto/openssl.js';
import { randomPool } from '../dist/crypto/random.js';
import { NativeArena } from '../dist/ffi/memory.js';
import { Batch } from '../dist/packet/batch.js';

const SUITES = [
  ['AES-128-CBC', 'SHA1'],
  ['AES-256-CBC', 'SHA256'],
  ['AES-256-CBC', 'SHA512'],
  ['AES-256-CBC', 'none'],
  ['none', 'SHA256'],
  ['BF-CBC', 'SHA1'],
];
const SLOTS = 32;
const ROUNDS = 5;
const MIN_ROUND_MS = 100;

const payload = Number(process.argv[2] ?? 1408);
const batch = new Batch(new NativeArena(Batch.arenaSize({ slots: SLOTS })), { slots: SLOTS });

/** Least mean time of a batch over some rounds, as µs per packet. */
function microseconds(prepare, work) {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    let spent = 0;
    let packets = 0;
    while (spent < MIN_ROUND_MS) {
      prepare();
      const start = performance.now();
      work();
      spent += performance.now() - start;
      packets += SLOTS;
    }
    least = Math.min(least, (spent * 1000) / packets);
  }
  return least.toFixed(2);
}

function measure(provider, suite) {
  const keys = {
    cipher: new Uint8Array(suite.cipher.keySize).fill(1),
    hmac: new Uint8Array(suite.digest.size).fill(2),
  };
  const sealer = provider.createSealer(suite, keys, randomPool());
  const opener = provider.createOpener(suite, keys);
  const fresh = () => {
    for (let slot = 0; slot < SLOTS; slot++) batch.commit(slot, payload);
  };
  const sealed = () => {
    fresh();
    sealer.seal(batch, 0, SLOTS);
  };
  return {
    seal: microseconds(fresh, () => sealer.seal(batch, 0, SLOTS)),
    open: microseconds(sealed, () => opener.open(batch, 0, SLOTS)),
  };
}

const rows = [createOpenSslProvider({ legacy: true }), createNobleProvider()].flatMap((provider) =>
  SUITES.map(([cipher, digest]) => ({ cipher: lookupCipher(cipher).spec, digest: lookupDigest(digest).spec }))
    .filter((suite) => provider.supports(suite))
    .map((suite) => ({
      provider: provider.description,
      cipher: suite.cipher.name,
      digest: suite.digest.name,
      ...measure(provider, suite),
    })),
);
console.log(`µs per packet of ${payload} bytes`);
console.table(rows);
