/** Ciphers and digests of OpenVPN's static-key mode. */

export interface CipherSpec {
  /** Canonical name as OpenVPN prints it (`AES-256-CBC`), or `none`. */
  readonly name: string;
  /** Key bytes; 0 for `none`. */
  readonly keySize: number;
  /** Block and IV bytes; 0 for `none`. */
  readonly blockSize: number;
  /** Only in OpenSSL's legacy provider (BF-CBC...): needs `providers legacy default`. */
  readonly legacy: boolean;
}

export interface DigestSpec {
  /** Canonical name as OpenVPN prints it (`SHA256`), or `none`. */
  readonly name: string;
  /** Tag bytes, which is also the HMAC key's length; 0 for `none`. */
  readonly size: number;
  readonly legacy: boolean;
}

/** The answer to a name from a config: an algorithm, or why it cannot be used here and what to write instead. */
export type Lookup<T> = { readonly spec: T } | { readonly refusal: string; readonly fix: string };

export const CIPHER_NONE: CipherSpec = { name: 'none', keySize: 0, blockSize: 0, legacy: false };
export const DIGEST_NONE: DigestSpec = { name: 'none', size: 0, legacy: false };
