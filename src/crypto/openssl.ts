/**
 * The usual provider: OpenSSL's EVP functions in the libcrypto of Node itself, called through koffi. Each direction
 * has one cipher context and one HMAC context, keyed once; a packet costs an IV, an update, and three HMAC calls.
 *
 * Algorithms come from a library context of our own, so nothing changes for the rest of the process, and the legacy
 * provider (BF-CBC...) is loaded there only when asked for. Batches must lie in a native arena.
 *
 * Measured with `tsvpn bench --only codec`, 1408-byte payload: EVP_MAC with a kept key is as fast as the deprecated HMAC_CTX and
 * faster than copying digest contexts or the one-shot HMAC().
 */
import { loadLibcrypto, OSSL_PARAM_SIZE, writeTextParameter } from '../ffi/libcrypto.ts';
import type { Libcrypto } from '../ffi/libcrypto.ts';
import { loadMultiBuffer } from '../ffi/libcrypto-multibuffer.ts';
import { addressIn, NativeArena } from '../ffi/memory.ts';
import type { Arena } from '../packet/arena.ts';
import type { DigestSpec } from './algorithms.ts';
import { createOpener, createSealer, TAGS_SIZE } from './codec.ts';
import type { BlockCipher, Mac, Primitives } from './codec.ts';
import { KeyMemory } from './key-memory.ts';
import { CbcLanes, createMultiBufferCbc, hasMultiBufferCbc } from './multi-buffer-cbc.ts';
import { createMultiBufferHmac, HashLanes, hasMultiBufferHmac } from './multi-buffer-hmac.ts';
import { ProviderAbsent } from './provider.ts';
import type { CryptoProvider, DirectionKeys, Suite } from './provider.ts';

export interface OpenSslOptions {
  /** Load OpenSSL's legacy provider as well. */
  readonly legacy: boolean;
  /**
   * Use libcrypto's internal routines for many packets at a time where they fit. Then the provider is `openssl-mb`,
   * knows only suites that gain by it, and throws ProviderAbsent where this Node does not have them.
   */
  readonly multiBuffer?: boolean;
  /** Replaceable, so that tests can watch the calls. */
  readonly libcrypto?: Libcrypto;
}

const NULL = 0;

/**
 * Memory for what passes between one call and the next: results that are read at once, and the parameter that names
 * a digest. Contexts of one provider share it; they run on one thread.
 */
interface Scratch {
  /** Starts with the tags that openers compute. */
  readonly arena: Arena;
  /** Address of a size_t that nobody reads: how much was written. */
  readonly written: number;
  /** Offset of an OSSL_PARAM array. */
  readonly parameter: number;
  /** Offset of the texts it points to. */
  readonly texts: number;
}

function createScratch(): Scratch {
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

function createCipher(
  lib: Libcrypto,
  algorithm: number,
  key: Uint8Array,
  encrypt: 0 | 1,
  scratch: Scratch,
): BlockCipher {
  const { cipherInitIv, EVP_CipherUpdate } = lib;
  const { written } = scratch;
  const context = lib.EVP_CIPHER_CTX_new();
  ensure(lib.cipherInitKey(context, algorithm, NULL, key, NULL, encrypt) === 1, 'EVP_CipherInit_ex');
  ensure(lib.EVP_CIPHER_CTX_set_padding(context, 0) === 1, 'EVP_CIPHER_CTX_set_padding');
  return {
    add(arena, iv, offset, length) {
      const text = addressIn(arena, offset);
      ensure(cipherInitIv(context, NULL, NULL, NULL, addressIn(arena, iv), -1) === 1, 'EVP_CipherInit_ex');
      ensure(EVP_CipherUpdate(context, text, written, text, length) === 1, 'EVP_CipherUpdate');
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

function createMac(lib: Libcrypto, hmac: number, digest: DigestSpec, key: Uint8Array, scratch: Scratch): Mac {
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

/** A library context with the default provider, and the legacy one if asked for. */
class Algorithms {
  private readonly lib: Libcrypto;
  private readonly library: number;
  private readonly providers: number[] = [];
  private readonly ciphers = new Map<string, number>();
  private readonly digests = new Map<string, boolean>();
  readonly hmac: number;

  constructor(lib: Libcrypto, legacy: boolean) {
    this.lib = lib;
    this.library = lib.OSSL_LIB_CTX_new();
    for (const name of legacy ? ['default', 'legacy'] : ['default']) {
      const provider = lib.OSSL_PROVIDER_load(this.library, name);
      if (provider !== NULL) this.providers.push(provider);
    }
    this.hmac = lib.EVP_MAC_fetch(this.library, 'HMAC', null);
    lib.ERR_clear_error();
  }

  /** Address of the cipher, or 0 when this OpenSSL has none of that name. */
  cipher(name: string): number {
    const known = this.ciphers.get(name);
    if (known !== undefined) return known;
    const fetched = this.lib.EVP_CIPHER_fetch(this.library, name, null);
    this.ciphers.set(name, fetched);
    this.lib.ERR_clear_error();
    return fetched;
  }

  hasDigest(name: string): boolean {
    const known = this.digests.get(name);
    if (known !== undefined) return known;
    const fetched = this.lib.EVP_MD_fetch(this.library, name, null);
    if (fetched !== NULL) this.lib.EVP_MD_free(fetched);
    this.digests.set(name, fetched !== NULL);
    this.lib.ERR_clear_error();
    return fetched !== NULL;
  }

  free(): void {
    for (const cipher of this.ciphers.values()) this.lib.EVP_CIPHER_free(cipher);
    this.lib.EVP_MAC_free(this.hmac);
    for (const provider of this.providers) this.lib.OSSL_PROVIDER_unload(provider);
    this.lib.OSSL_LIB_CTX_free(this.library);
  }
}

/** The multi-buffer routines, for the algorithms they are made for. */
interface MultiBufferPrimitives {
  helps(suite: Suite): boolean;
  createCipher(name: string, key: Uint8Array, encrypt: boolean): BlockCipher | undefined;
  createMac(name: string, key: Uint8Array, single: Mac): Mac | undefined;
}

function createMultiBufferPrimitives(): MultiBufferPrimitives {
  const lib = loadMultiBuffer();
  if (lib === undefined)
    throw new ProviderAbsent('this Node has no multi-buffer routines of OpenSSL 3.0 or 3.5 for x86-64');
  const keys = new KeyMemory();
  const cbcLanes = new CbcLanes();
  const hashLanes = new HashLanes();
  return {
    helps: ({ cipher, digest }) => hasMultiBufferCbc(cipher.name) || hasMultiBufferHmac(digest.name),
    createCipher: (name, key, encrypt) => createMultiBufferCbc(lib, keys, cbcLanes, { name, key, encrypt }),
    createMac: (name, key, single) => createMultiBufferHmac(lib, keys, hashLanes, { name, key, single }),
  };
}

/** Throws Error when the process has no OpenSSL 3. */
export function createOpenSslProvider({
  legacy,
  multiBuffer = false,
  libcrypto = loadLibcrypto(),
}: OpenSslOptions): CryptoProvider {
  const lib = libcrypto;
  const fast = multiBuffer ? createMultiBufferPrimitives() : undefined;
  const algorithms = new Algorithms(lib, legacy);
  const scratch = createScratch();

  const knows = ({ cipher, digest }: Suite): boolean => {
    const knowsCipher = cipher.name === 'none' || algorithms.cipher(cipher.name) !== NULL;
    return knowsCipher && (digest.name === 'none' || algorithms.hasDigest(digest.name));
  };

  const createCipherFor = (name: string, key: Uint8Array, encrypt: 0 | 1): BlockCipher =>
    fast?.createCipher(name, key, encrypt === 1) ??
    createCipher(lib, algorithms.cipher(name), key, encrypt, scratch);

  const createMacFor = (digest: DigestSpec, key: Uint8Array): Mac => {
    const single = createMac(lib, algorithms.hmac, digest, key, scratch);
    return fast?.createMac(digest.name, key, single) ?? single;
  };

  const createPrimitives = (suite: Suite, keys: DirectionKeys, encrypt: 0 | 1): Primitives => {
    const { cipher, digest } = suite;
    if (!knows(suite)) throw new Error(`libcrypto has no ${cipher.name} with ${digest.name}`);
    return {
      cipher: cipher.name === 'none' ? undefined : createCipherFor(cipher.name, keys.cipher, encrypt),
      mac: digest.name === 'none' ? undefined : createMacFor(digest, keys.hmac),
      tags: scratch.arena,
    };
  };

  const version = lib.OpenSSL_version(0).split(' ').slice(0, 2).join(' ');
  return {
    name: multiBuffer ? 'openssl-mb' : 'openssl',
    description: `${version}${multiBuffer ? ', many packets at a time' : ''}`,
    supports: (suite) => knows(suite) && (fast?.helps(suite) ?? true),
    createSealer: (suite, keys, random) => createSealer(suite, createPrimitives(suite, keys, 1), random),
    createOpener: (suite, keys) => createOpener(suite, createPrimitives(suite, keys, 0)),
    dispose: () => algorithms.free(),
  };
}
