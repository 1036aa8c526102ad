/**
 * OpenSSL in the libcrypto of Node itself, called through koffi: every cipher and digest of OpenVPN. As `openssl` it uses
 * public functions only; as `openssl-mb`, libcrypto's internal routines for many packets at a time where they fit.
 *
 * Algorithms come from a library context of our own, so nothing changes for the rest of the process, and the legacy
 * provider (BF-CBC...) is loaded there only when asked for. Batches must lie in a native arena.
 */
import { loadLibcrypto } from '../ffi/libcrypto.ts';
import type { Libcrypto } from '../ffi/libcrypto.ts';
import { loadMultiBuffer } from '../ffi/libcrypto-multibuffer.ts';
import type { CipherSpec, DigestSpec } from './algorithms.ts';
import { createOpener, createSealer } from './codec.ts';
import type { BlockCipher, Mac, Primitives } from './codec.ts';
import { createDecryption, createEncryption, createMac, createScratch, NULL } from './evp.ts';
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

  const createCipherFor = (cipher: CipherSpec, key: Uint8Array, encrypt: boolean): BlockCipher => {
    const create = encrypt ? createEncryption : createDecryption;
    return (
      fast?.createCipher(cipher.name, key, encrypt) ??
      create(lib, algorithms.cipher(cipher.name), { cipher, key }, scratch)
    );
  };

  const createMacFor = (digest: DigestSpec, key: Uint8Array): Mac => {
    const single = createMac(lib, algorithms.hmac, digest, key, scratch);
    return fast?.createMac(digest.name, key, single) ?? single;
  };

  const createPrimitives = (suite: Suite, keys: DirectionKeys, encrypt: boolean): Primitives => {
    const { cipher, digest } = suite;
    if (!knows(suite)) throw new Error(`libcrypto has no ${cipher.name} with ${digest.name}`);
    return {
      cipher: cipher.name === 'none' ? undefined : createCipherFor(cipher, keys.cipher, encrypt),
      mac: digest.name === 'none' ? undefined : createMacFor(digest, keys.hmac),
      tags: scratch.arena,
    };
  };

  const version = lib.OpenSSL_version(0).split(' ').slice(0, 2).join(' ');
  return {
    name: multiBuffer ? 'openssl-mb' : 'openssl',
    description: `${version}${multiBuffer ? ' multi-buffer' : ''}`,
    supports: (suite) => knows(suite) && (fast?.helps(suite) ?? true),
    createSealer: (suite, keys, random) => createSealer(suite, createPrimitives(suite, keys, true), random),
    createOpener: (suite, keys) => createOpener(suite, createPrimitives(suite, keys, false)),
    dispose: () => algorithms.free(),
  };
}
