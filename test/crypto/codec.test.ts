import { createCipheriv, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { suiteOf } from '../../src/bench/suites.ts';
import { CIPHERS, DIGESTS } from '../../src/crypto/algorithms.ts';
import { createOpenSslProvider } from '../../src/crypto/openssl.ts';
import type { CryptoProvider, DirectionKeys, Suite } from '../../src/crypto/provider.ts';
import { randomPool } from '../../src/crypto/random.ts';
import { loadLibcrypto } from '../../src/ffi/libcrypto.ts';
import { DropReason, PASS } from '../../src/packet/verdict.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { absentProviders, noble, openssl, providers } from '../support/providers.ts';
import { contents, fill, heapSlot, nativeSlot } from '../support/slot.ts';

const batch = nativeSlot();

function keysOf(suite: Suite, seed: number): DirectionKeys {
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => seed + 31 * i);
  return { cipher: bytes(suite.cipher.keySize), hmac: bytes(suite.digest.size) };
}

const fixedRandom = (bytes: Uint8Array, offset: number, length: number): void => {
  bytes.fill(0xab, offset, offset + length);
};

function seal(provider: CryptoProvider, suite: Suite, keys: DirectionKeys, plaintext: Uint8Array): Buffer {
  const sealer = provider.createSealer(suite, keys, fixedRandom);
  fill(batch, plaintext);
  sealer.seal(batch, 0, 1);
  sealer.dispose();
  return contents(batch);
}

function open(provider: CryptoProvider, suite: Suite, keys: DirectionKeys, datagram: Uint8Array): number {
  const opener = provider.createOpener(suite, keys);
  fill(batch, datagram);
  opener.open(batch, 0, 1);
  opener.dispose();
  return batch.verdict[0];
}

/** The same datagram by node:crypto, an independent path to the algorithms. */
function sealWithNode(suite: Suite, keys: DirectionKeys, plaintext: Uint8Array): Buffer {
  const iv = Buffer.alloc(suite.cipher.blockSize, 0xab);
  const cipher = createCipheriv(suite.cipher.name.toLowerCase(), keys.cipher, iv);
  const body = Buffer.concat([iv, cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([createHmac(suite.digest.name.toLowerCase(), keys.hmac).update(body).digest(), body]);
}

const plaintexts = fc.uint8Array({ minLength: 1, maxLength: 600 });

for (const [name, reason] of absentProviders) test(`provider ${name}`, ({ skip }) => skip(reason));

describe('providers agree', () => {
  const reference = DIGESTS.map(({ name }) => suiteOf('AES-256-CBC', name))
    .concat(CIPHERS.map(({ name }) => suiteOf(name, 'SHA256')))
    .concat([suiteOf('none', 'SHA256'), suiteOf('AES-128-CBC', 'none'), suiteOf('none', 'none')])
    .filter((suite) => openssl.supports(suite) && noble.supports(suite));
  test.each(reference.map((suite) => [suite.cipher.name, suite.digest.name, suite] as const))(
    'all providers seal alike and open each other: %s, %s',
    (_, __, suite) => {
      const able = providers.filter(([, provider]) => provider.supports(suite));
      const keys = keysOf(suite, 5);
      fc.assert(
        fc.property(plaintexts, (plaintext) => {
          const datagram = seal(noble, suite, keys, plaintext);
          for (const [, provider] of able) {
            expect(seal(provider, suite, keys, plaintext).equals(datagram)).toBe(true);
            expect(open(provider, suite, keys, datagram)).toBe(PASS);
            expect(contents(batch).equals(plaintext)).toBe(true);
          }
        }),
        { numRuns: 20 },
      );
    },
  );

  const inNode = CIPHERS.filter(({ legacy }) => !legacy).map(({ name }) => suiteOf(name, 'SHA1'));
  const hashes = ['MD5', 'RIPEMD160', 'SHA512-256', 'SHA3-512', 'BLAKE2s256', 'SM3', 'MD5-SHA1'];
  test.each(
    inNode
      .concat(hashes.map((name) => suiteOf('AES-192-CBC', name)))
      .map((suite) => [suite.cipher.name, suite.digest.name, suite] as const),
  )('OpenSSL and node:crypto seal alike: %s, %s', (_, __, suite) => {
    const keys = keysOf(suite, 9);
    fc.assert(
      fc.property(plaintexts, (plaintext) => {
        expect(seal(openssl, suite, keys, plaintext).equals(sealWithNode(suite, keys, plaintext))).toBe(true);
      }),
      { numRuns: 20 },
    );
  });
});

describe.each(providers)('%s refuses', (_, provider) => {
  const suite = suiteOf('AES-256-CBC', 'SHA256');
  const keys = keysOf(suite, 1);
  const other = keysOf(suite, 2);
  const whole = seal(noble, suite, keys, Buffer.alloc(40, 7));
  const [hmacSize, ivSize] = [32, 16];

  const flipped = (at: number): Buffer => {
    const copy = Buffer.from(whole);
    copy[at] ^= 0x10;
    return copy;
  };
  const aes128 = suiteOf('AES-128-CBC', 'SHA256');

  test.each([
    ['no bytes', Buffer.alloc(0), DropReason.Short],
    ['1 byte', whole.subarray(0, 1), DropReason.Short],
    ['one byte less than an HMAC', whole.subarray(0, hmacSize - 1), DropReason.Short],
    ['an HMAC alone', whole.subarray(0, hmacSize), DropReason.Short],
    ['HMAC and IV alone', whole.subarray(0, hmacSize + ivSize), DropReason.Short],
    ['less than a block of ciphertext', whole.subarray(0, hmacSize + ivSize + 15), DropReason.Short],
    ['a part of a block at the end', whole.subarray(0, whole.length - 1), DropReason.BadLength],
    ['a missing block', whole.subarray(0, whole.length - 16), DropReason.Auth],
    ['a block too many', Buffer.concat([whole, Buffer.alloc(16)]), DropReason.Auth],
    ['a bit flipped in the HMAC', flipped(0), DropReason.Auth],
    ['a bit flipped at the end of the HMAC', flipped(hmacSize - 1), DropReason.Auth],
    ['a bit flipped in the IV', flipped(hmacSize), DropReason.Auth],
    ['a bit flipped in the ciphertext', flipped(hmacSize + ivSize), DropReason.Auth],
    ['a bit flipped in the last byte', flipped(whole.length - 1), DropReason.Auth],
    ['random bytes', Buffer.alloc(whole.length, 0x5a), DropReason.Auth],
    [
      'another HMAC key',
      seal(noble, suite, { ...keys, hmac: other.hmac }, Buffer.alloc(40)),
      DropReason.Auth,
    ],
    [
      'a cipher with another key size',
      seal(noble, aes128, { ...keys, cipher: keys.cipher.slice(0, 16) }, Buffer.alloc(40)),
      DropReason.Decrypt,
    ],
  ])('%s', (__, datagram, verdict) => {
    expect(open(provider, suite, keys, datagram)).toBe(verdict);
  });

  test('every malformed padding', () => {
    const bare = suiteOf('AES-256-CBC', 'none');
    const unpadded = (last: readonly number[]): Buffer => {
      const text = Buffer.concat([Buffer.alloc(32 - last.length, 9), Buffer.from(last)]);
      const cipher = createCipheriv('aes-256-cbc', keys.cipher, Buffer.alloc(16)).setAutoPadding(false);
      return Buffer.concat([Buffer.alloc(16), cipher.update(text), cipher.final()]);
    };
    for (const last of [[0], [17], [255], [1, 2], [3, 2, 3], [2, 3, 3]]) {
      expect(open(provider, bare, keys, unpadded(last))).toBe(DropReason.Decrypt);
    }
    expect(open(provider, bare, keys, unpadded([1]))).toBe(PASS);
    expect(open(provider, bare, keys, unpadded(Array.from({ length: 16 }, () => 16)))).toBe(PASS);
    expect(batch.length[0]).toBe(16);
  });

  test('an HMAC of nothing, or less, with `cipher none`', () => {
    const clear = suiteOf('none', 'SHA256');
    expect(open(provider, clear, keys, Buffer.alloc(31))).toBe(DropReason.Short);
    expect(open(provider, clear, keys, Buffer.alloc(33))).toBe(DropReason.Auth);
    expect(open(provider, clear, keys, seal(noble, clear, keys, Buffer.alloc(0)))).toBe(DropReason.Short);
    expect(open(provider, clear, keys, seal(noble, clear, keys, Buffer.alloc(1)))).toBe(PASS);
    expect(batch.length[0]).toBe(1);
  });

  test('nothing with neither cipher nor digest', () => {
    const none = suiteOf('none', 'none');
    expect(open(provider, none, keys, Buffer.from('clear'))).toBe(PASS);
    expect(contents(batch).toString()).toBe('clear');
  });

  test('no datagram for its size', () => {
    const largest = seal(noble, suite, keys, Buffer.alloc(65_430, 7));
    expect(largest.length).toBe(65_488);
    expect(open(provider, suite, keys, largest)).toBe(PASS);
    expect(batch.length[0]).toBe(65_430);
    expect(open(provider, suite, keys, Buffer.alloc(65_507))).toBe(DropReason.BadLength);
  });

  test('slots that already have a verdict, by leaving them alone', () => {
    const opener = provider.createOpener(suite, keys);
    fill(batch, whole);
    batch.verdict[0] = DropReason.Source;
    opener.open(batch, 0, 1);
    expect([batch.verdict[0], batch.length[0]]).toEqual([DropReason.Source, whole.length]);
  });

  test('a suite it does not know, instead of leaving out a step', () => {
    const unknown = {
      cipher: { name: 'ROT13-CBC', keySize: 32, blockSize: 16, legacy: false },
      digest: suite.digest,
    };
    expect(provider.supports(unknown)).toBe(false);
    expect(() => provider.createSealer(unknown, keys, fixedRandom)).toThrow(/no ROT13-CBC/);
    expect(() => provider.createOpener(unknown, keys)).toThrow(/no ROT13-CBC/);
  });
});

describe('OpenSSL', () => {
  const suite = suiteOf('AES-256-CBC', 'SHA256');
  const keys = keysOf(suite, 3);

  test('decrypts nothing before the HMAC is right', () => {
    let decryptions = 0;
    const real = loadLibcrypto();
    const watched = createOpenSslProvider({
      legacy: false,
      libcrypto: {
        ...real,
        EVP_CipherUpdate: (...args) => {
          decryptions++;
          return real.EVP_CipherUpdate(...args);
        },
      },
    });
    const datagram = seal(openssl, suite, keys, Buffer.alloc(100));
    expect(open(watched, suite, keys, datagram)).toBe(PASS);
    expect(decryptions).toBe(1);
    datagram[0] ^= 1;
    expect(open(watched, suite, keys, datagram)).toBe(DropReason.Auth);
    expect(open(watched, suite, keys, datagram.subarray(0, 20))).toBe(DropReason.Short);
    expect(decryptions).toBe(1);
    expect(contents(batch)).toEqual(datagram.subarray(0, 20));
  });

  test.each([
    ['AES-256-CBC', 'SHA256'],
    ['AES-128-CBC', 'none'],
    ['none', 'SHA512'],
  ])('seals and opens %s, %s without allocating', (cipher, digest) => {
    const chosen = suiteOf(cipher, digest);
    const chosenKeys = keysOf(chosen, 3);
    const sealer = openssl.createSealer(chosen, chosenKeys, randomPool());
    const opener = openssl.createOpener(chosen, chosenKeys);
    const perPacket = bytesPerCall(() => {
      batch.commit(0, 200);
      sealer.seal(batch, 0, 1);
      opener.open(batch, 0, 1);
    });
    expect(batch.verdict[0]).toBe(PASS);
    expect(batch.length[0]).toBe(200);
    expect(perPacket).toBeLessThan(1);
  });

  test('does without memory it cannot reach', () => {
    const sealer = openssl.createSealer(suite, keys, fixedRandom);
    const unreachable = heapSlot();
    fill(unreachable, Buffer.alloc(10));
    expect(() => sealer.seal(unreachable, 0, 1)).toThrow(/native arena/);
  });
});

describe('randomPool', () => {
  test('never gives an IV twice in 100 000', () => {
    const random = randomPool();
    const iv = Buffer.alloc(16);
    const seen = new Set<string>();
    for (let i = 0; i < 100_000; i++) {
      random(iv, 0, 16);
      seen.add(iv.toString('latin1'));
    }
    expect(seen.size).toBe(100_000);
  });

  test('writes only where it is told to, also across refills', () => {
    const random = randomPool(24);
    for (let round = 0; round < 10; round++) {
      const bytes = new Uint8Array(40);
      random(bytes, 12, 16);
      expect(bytes.subarray(0, 12)).toEqual(new Uint8Array(12));
      expect(bytes.subarray(28)).toEqual(new Uint8Array(12));
      expect(bytes.subarray(12, 28)).not.toEqual(new Uint8Array(16));
    }
  });
});
