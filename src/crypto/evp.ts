/**
 * Ciphers and HMACs by OpenSSL's EVP functions. Each has one context, keyed once; what is added is done at once. A packet
 * costs two calls to encrypt, one to decrypt and three for the HMAC.
 *
 * EVP_MAC with a kept key is as fast as the deprecated HMAC_CTX, and faster than copying digest contexts or the one-shot
 * HMAC(); hashing with the deprecated SHA256 functions from saved states saves 4 % at most (docs/adr/0011).
 */
import { OSSL_PARAM_SIZE, writeTextParameter } from '../ffi/libcrypto.ts';
import type { Libcrypto } from '../ffi/libcrypto.ts';
import { addressIn, NativeArena } from '../ffi/memory.ts';
import type { Arena } from '../packet/arena.ts';
import type { CipherSpec, DigestSpec } from './algorithms.ts';
import { TAGS_SIZE } from './codec.ts';
import type { BlockCipher, Mac } from './codec.ts';

export const NULL = 0;

/**
 * Memory for what passes between one call and the next: results that are read at once, and the parameter that names
 * a digest. Contexts of one provider share it; they run on one thread.
 */
export interface Scratch {
  /** Starts with the tags that openers compute. */
  readonly arena: Arena;
  /** Address of a size_t that nobody reads: how much was written. */
  readonly written: number;
  /** Offset of an OSSL_PARAM array. */
  readonly parameter: number;
  /** Offset of the texts it points to. */
  readonly texts: number;
}

export function createScratch(): Scratch {
  const arena = new NativeArena(TAGS_SIZE + 4096);
  arena.take(TAGS_SIZE);
  return {
    arena,
    written: arena.address + arena.take(8),
    parameter: arena.take(2 * OSSL_PARAM_SIZE),
    texts: arena.take(64),
  };
}

/** A failing EVP call on prepared contexts is a malfunction of the process, not of a packet. */
function ensure(succeeded: boolean, call: string): void {
  if (!succeeded) throw new Error(`libcrypto: ${call} failed`);
}

// Contexts are kept in constants of a closure: an address above 2 GiB is boxed once there, not on every call.

/** A context with its key; no padding. */
function createContext(lib: Libcrypto, algorithm: number, key: Uint8Array, encrypt: 0 | 1): number {
  const context = lib.EVP_CIPHER_CTX_new();
  ensure(lib.cipherInitKey(context, algorithm, NULL, key, NULL, encrypt) === 1, 'EVP_CipherInit_ex');
  ensure(lib.EVP_CIPHER_CTX_set_padding(context, 0) === 1, 'EVP_CIPHER_CTX_set_padding');
  return context;
}

export function createEncryption(
  lib: Libcrypto,
  algorithm: number,
  { cipher, key }: { cipher: CipherSpec; key: Uint8Array },
  { written }: Scratch,
): BlockCipher {
  const { cipherInitIv, EVP_CipherUpdate } = lib;
  const { blockSize } = cipher;
  const context = createContext(lib, algorithm, key, 1);
  return {
    add(arena, offset, length) {
      const text = addressIn(arena, offset);
      ensure(cipherInitIv(context, NULL, NULL, NULL, text - blockSize, -1) === 1, 'EVP_CipherInit_ex');
      ensure(EVP_CipherUpdate(context, text, written, text, length) === 1, 'EVP_CipherUpdate');
    },
    run() {},
    dispose() {
      lib.EVP_CIPHER_CTX_free(context);
    },
  };
}

/**
 * Sets no IV: CBC decryption of a block needs only the block before it, so the IV is decrypted like one more block, to
 * nonsense, and everything after it to what it is. One call less per packet.
 */
export function createDecryption(
  lib: Libcrypto,
  algorithm: number,
  { cipher, key }: { cipher: CipherSpec; key: Uint8Array },
  { written }: Scratch,
): BlockCipher {
  const { EVP_CipherUpdate } = lib;
  const { blockSize } = cipher;
  const context = createContext(lib, algorithm, key, 0);
  return {
    add(arena, offset, length) {
      const iv = addressIn(arena, offset - blockSize);
      ensure(EVP_CipherUpdate(context, iv, written, iv, blockSize + length) === 1, 'EVP_CipherUpdate');
    },
    run() {},
    dispose() {
      lib.EVP_CIPHER_CTX_free(context);
    },
  };
}

/** Writes the parameter `digest=name`; returns its address. */
function digestParameter(name: string, { arena, parameter, texts }: Scratch): number {
  const key = Buffer.from('digest\0');
  arena.bytes.set(key, texts);
  arena.bytes.set(Buffer.from(`${name}\0`), texts + key.length);
  const value = arena.address + texts + key.length;
  writeTextParameter(arena.bytes, parameter, arena.address + texts, value, name.length);
  return arena.address + parameter;
}

export function createMac(
  lib: Libcrypto,
  hmac: number,
  digest: DigestSpec,
  key: Uint8Array,
  scratch: Scratch,
): Mac {
  const { macRestart, EVP_MAC_update, EVP_MAC_final } = lib;
  const { written } = scratch;
  const { size } = digest;
  const context = lib.EVP_MAC_CTX_new(hmac);
  const keyed = lib.macInitKey(context, key, key.length, digestParameter(digest.name, scratch)) === 1;
  ensure(keyed, 'EVP_MAC_init');
  return {
    add(arena, offset, length, out, tag) {
      ensure(macRestart(context, NULL, NULL, NULL) === 1, 'EVP_MAC_init');
      ensure(EVP_MAC_update(context, addressIn(arena, offset), length) === 1, 'EVP_MAC_update');
      ensure(EVP_MAC_final(context, addressIn(out, tag), written, size) === 1, 'EVP_MAC_final');
    },
    run() {},
    dispose() {
      lib.EVP_MAC_CTX_free(context);
    },
  };
}
