/**
 * OpenSSL's libcrypto, as linked into (or loaded by) the running Node binary: only public functions of OpenSSL 3.
 *
 * Objects (contexts, algorithms, providers) are numbers, their machine addresses; 0 is NULL. Functions return 1 for
 * success unless their name says otherwise. Cold calls take a Uint8Array where bytes are passed; the calls marked
 * "data path" take only numbers and allocate nothing.
 */
import koffi from 'koffi';

export interface Libcrypto {
  /** OpenSSL's version text, for example `OpenSSL 3.0.19 27 Jan 2026`. */
  readonly OpenSSL_version: (what: number) => string;
  readonly ERR_clear_error: () => void;

  readonly OSSL_LIB_CTX_new: () => number;
  readonly OSSL_LIB_CTX_free: (library: number) => void;
  readonly OSSL_PROVIDER_load: (library: number, name: string) => number;
  readonly OSSL_PROVIDER_unload: (provider: number) => number;

  readonly EVP_CIPHER_fetch: (library: number, name: string, properties: null) => number;
  readonly EVP_CIPHER_free: (cipher: number) => void;
  readonly EVP_CIPHER_CTX_new: () => number;
  readonly EVP_CIPHER_CTX_free: (context: number) => void;
  readonly EVP_CIPHER_CTX_set_padding: (context: number, on: number) => number;
  /** Sets cipher, key and direction. */
  readonly cipherInitKey: (
    context: number,
    cipher: number,
    engine: number,
    key: Uint8Array,
    iv: number,
    encrypt: number,
  ) => number;
  /** Data path: EVP_CipherInit_ex with the key kept, sets the IV at address `iv`. */
  readonly cipherInitIv: (context: number, cipher: 0, engine: 0, key: 0, iv: number, encrypt: -1) => number;
  /** Data path. `written` is the address of an int. */
  readonly EVP_CipherUpdate: (
    context: number,
    out: number,
    written: number,
    input: number,
    length: number,
  ) => number;

  readonly EVP_MD_fetch: (library: number, name: string, properties: null) => number;
  readonly EVP_MD_free: (digest: number) => void;
  readonly EVP_MAC_fetch: (library: number, name: string, properties: null) => number;
  readonly EVP_MAC_free: (mac: number) => void;
  readonly EVP_MAC_CTX_new: (mac: number) => number;
  readonly EVP_MAC_CTX_free: (context: number) => void;
  /** Sets the key; `parameters` is the address of an OSSL_PARAM array. */
  readonly macInitKey: (context: number, key: Uint8Array, length: number, parameters: number) => number;
  /** Data path: EVP_MAC_init with the key kept. */
  readonly macRestart: (context: number, key: 0, length: 0, parameters: 0) => number;
  /** Data path. */
  readonly EVP_MAC_update: (context: number, data: number, length: number) => number;
  /** Data path. `written` is the address of a size_t. */
  readonly EVP_MAC_final: (context: number, out: number, written: number, size: number) => number;
}

const PROTOTYPES: Readonly<Record<keyof Libcrypto, string>> = {
  OpenSSL_version: 'const char *OpenSSL_version(int what)',
  ERR_clear_error: 'void ERR_clear_error(void)',
  OSSL_LIB_CTX_new: 'uintptr_t OSSL_LIB_CTX_new(void)',
  OSSL_LIB_CTX_free: 'void OSSL_LIB_CTX_free(uintptr_t library)',
  OSSL_PROVIDER_load: 'uintptr_t OSSL_PROVIDER_load(uintptr_t library, const char *name)',
  OSSL_PROVIDER_unload: 'int OSSL_PROVIDER_unload(uintptr_t provider)',
  EVP_CIPHER_fetch: 'uintptr_t EVP_CIPHER_fetch(uintptr_t library, const char *name, const char *properties)',
  EVP_CIPHER_free: 'void EVP_CIPHER_free(uintptr_t cipher)',
  EVP_CIPHER_CTX_new: 'uintptr_t EVP_CIPHER_CTX_new(void)',
  EVP_CIPHER_CTX_free: 'void EVP_CIPHER_CTX_free(uintptr_t context)',
  EVP_CIPHER_CTX_set_padding: 'int EVP_CIPHER_CTX_set_padding(uintptr_t context, int on)',
  cipherInitKey:
    'int EVP_CipherInit_ex(uintptr_t context, uintptr_t cipher, uintptr_t engine, const void *key, uintptr_t iv, int encrypt)',
  cipherInitIv:
    'int EVP_CipherInit_ex(uintptr_t context, uintptr_t cipher, uintptr_t engine, uintptr_t key, uintptr_t iv, int encrypt)',
  EVP_CipherUpdate:
    'int EVP_CipherUpdate(uintptr_t context, uintptr_t out, uintptr_t written, uintptr_t input, int length)',
  EVP_MD_fetch: 'uintptr_t EVP_MD_fetch(uintptr_t library, const char *name, const char *properties)',
  EVP_MD_free: 'void EVP_MD_free(uintptr_t digest)',
  EVP_MAC_fetch: 'uintptr_t EVP_MAC_fetch(uintptr_t library, const char *name, const char *properties)',
  EVP_MAC_free: 'void EVP_MAC_free(uintptr_t mac)',
  EVP_MAC_CTX_new: 'uintptr_t EVP_MAC_CTX_new(uintptr_t mac)',
  EVP_MAC_CTX_free: 'void EVP_MAC_CTX_free(uintptr_t context)',
  macInitKey: 'int EVP_MAC_init(uintptr_t context, const void *key, size_t length, uintptr_t parameters)',
  macRestart: 'int EVP_MAC_init(uintptr_t context, uintptr_t key, size_t length, uintptr_t parameters)',
  EVP_MAC_update: 'int EVP_MAC_update(uintptr_t context, uintptr_t data, size_t length)',
  EVP_MAC_final: 'int EVP_MAC_final(uintptr_t context, uintptr_t out, uintptr_t written, size_t size)',
};

let loaded: Libcrypto | undefined;

/** The process's libcrypto. Throws Error when a function is missing: not OpenSSL 3. */
export function loadLibcrypto(): Libcrypto {
  if (loaded === undefined) {
    const process_ = koffi.load(null);
    const functions = Object.entries(PROTOTYPES).map(([name, prototype]) => [name, process_.func(prototype)]);
    loaded = Object.fromEntries(functions) as Libcrypto;
  }
  return loaded;
}

/** Size of one OSSL_PARAM on 64-bit Linux. */
export const OSSL_PARAM_SIZE = 40;
const OSSL_PARAM_UTF8_STRING = 4;

/**
 * Writes an OSSL_PARAM for a text value and the terminating entry, 2 * OSSL_PARAM_SIZE bytes at `at`. `key` and
 * `value` are the addresses of NUL-terminated texts.
 */
export function writeTextParameter(
  bytes: Uint8Array,
  at: number,
  key: number,
  value: number,
  length: number,
): void {
  const entry = new DataView(bytes.buffer, bytes.byteOffset + at, 2 * OSSL_PARAM_SIZE);
  bytes.fill(0, at, at + 2 * OSSL_PARAM_SIZE);
  entry.setBigUint64(0, BigInt(key), true);
  entry.setUint32(8, OSSL_PARAM_UTF8_STRING, true);
  entry.setBigUint64(16, BigInt(value), true);
  entry.setBigUint64(24, BigInt(length), true);
  // OSSL_PARAM_UNMODIFIED
  entry.setBigUint64(32, 0xffff_ffff_ffff_ffffn, true);
}
