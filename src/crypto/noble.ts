/**
 * The reference provider: @noble/ciphers and @noble/hashes, plain JavaScript. Slow and allocating, but independent of
 * every native library: the oracle of the tests and of the start-up self-test, and the fallback.
 */
import { cbc } from '@noble/ciphers/aes.js';
import { blake2b, blake2s } from '@noble/hashes/blake2.js';
import { hmac } from '@noble/hashes/hmac.js';
import { md5, ripemd160, sha1 } from '@noble/hashes/legacy.js';
import { sha224, sha256, sha384, sha512, sha512_224, sha512_256 } from '@noble/hashes/sha2.js';
import { sha3_224, sha3_256, sha3_384, sha3_512 } from '@noble/hashes/sha3.js';
import type { CHash } from '@noble/hashes/utils.js';
import { HeapArena } from '../packet/arena.ts';
import type { Arena } from '../packet/arena.ts';
import { createOpener, createSealer, TAGS_SIZE } from './codec.ts';
import type { BlockCipher, Mac, Primitives } from './codec.ts';
import type { CryptoProvider, DirectionKeys, Suite } from './provider.ts';

const HASHES: ReadonlyMap<string, CHash> = new Map<string, CHash>([
  ['MD5', md5],
  ['SHA1', sha1],
  ['RIPEMD160', ripemd160],
  ['SHA224', sha224],
  ['SHA256', sha256],
  ['SHA384', sha384],
  ['SHA512', sha512],
  ['SHA512-224', sha512_224],
  ['SHA512-256', sha512_256],
  ['SHA3-224', sha3_224],
  ['SHA3-256', sha3_256],
  ['SHA3-384', sha3_384],
  ['SHA3-512', sha3_512],
  ['BLAKE2s256', blake2s],
  ['BLAKE2b512', blake2b],
]);

function view(arena: Arena, offset: number, length: number): Uint8Array {
  return arena.bytes.subarray(offset, offset + length);
}

function createCipher(keyBytes: Uint8Array, direction: 'encrypt' | 'decrypt'): BlockCipher {
  const key = keyBytes.slice();
  return {
    add(arena, offset, length) {
      const text = view(arena, offset, length);
      text.set(
        cbc(key, view(arena, offset - cbc.blockSize, cbc.blockSize), { disablePadding: true })[direction](
          text,
        ),
      );
    },
    run() {},
    dispose() {
      key.fill(0);
    },
  };
}

function createMac(hash: CHash, keyBytes: Uint8Array): Mac {
  const key = keyBytes.slice();
  return {
    add(arena, offset, length, out, tag) {
      out.bytes.set(hmac(hash, key, view(arena, offset, length)), tag);
    },
    run() {},
    dispose() {
      key.fill(0);
    },
  };
}

function supports({ cipher, digest }: Suite): boolean {
  const knowsCipher = cipher.name === 'none' || /^AES-\d+-CBC$/.test(cipher.name);
  return knowsCipher && (digest.name === 'none' || HASHES.has(digest.name));
}

function createPrimitives(suite: Suite, keys: DirectionKeys, direction: 'encrypt' | 'decrypt'): Primitives {
  if (!supports(suite)) throw new Error(`noble has no ${suite.cipher.name} with ${suite.digest.name}`);
  const hash = HASHES.get(suite.digest.name);
  return {
    cipher: suite.cipher.name === 'none' ? undefined : createCipher(keys.cipher, direction),
    mac: hash && createMac(hash, keys.hmac),
    tags: new HeapArena(TAGS_SIZE),
  };
}

export function createNobleProvider(): CryptoProvider {
  return {
    name: 'noble',
    description: 'noble (JavaScript)',
    supports,
    createSealer: (suite, keys, random) =>
      createSealer(suite, createPrimitives(suite, keys, 'encrypt'), random),
    createOpener: (suite, keys) => createOpener(suite, createPrimitives(suite, keys, 'decrypt')),
    dispose() {},
  };
}
