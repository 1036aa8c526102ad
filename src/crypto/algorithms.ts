/**
 * Ciphers and digests of OpenVPN's static-key mode, under every name a config may use for them.
 *
 * Names are looked up as stock 2.6 with OpenSSL 3 does: without regard to case, by canonical name, OpenSSL alias or
 * dotted object identifier. Only `none` is a literal and must be lower case.
 */

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

/** What stock uses when the config has no `cipher` or `auth` line, in every version from 2.2 to 2.7. */
export const DEFAULT_CIPHER_NAME = 'BF-CBC';
export const DEFAULT_DIGEST_NAME = 'SHA1';

type CipherRow = readonly [
  name: string,
  keySize: number,
  blockSize: number,
  legacy: boolean,
  ...aliases: string[],
];

// prettier-ignore
const CIPHER_ROWS: readonly CipherRow[] = [
  ['AES-128-CBC', 16, 16, false, 'AES128', '2.16.840.1.101.3.4.1.2'],
  ['AES-192-CBC', 24, 16, false, 'AES192', '2.16.840.1.101.3.4.1.22'],
  ['AES-256-CBC', 32, 16, false, 'AES256', '2.16.840.1.101.3.4.1.42'],
  ['CAMELLIA-128-CBC', 16, 16, false, 'CAMELLIA128', '1.2.392.200011.61.1.1.1.2'],
  ['CAMELLIA-192-CBC', 24, 16, false, 'CAMELLIA192', '1.2.392.200011.61.1.1.1.3'],
  ['CAMELLIA-256-CBC', 32, 16, false, 'CAMELLIA256', '1.2.392.200011.61.1.1.1.4'],
  ['ARIA-128-CBC', 16, 16, false, 'ARIA128', '1.2.410.200046.1.1.2'],
  ['ARIA-192-CBC', 24, 16, false, 'ARIA192', '1.2.410.200046.1.1.7'],
  ['ARIA-256-CBC', 32, 16, false, 'ARIA256', '1.2.410.200046.1.1.12'],
  ['SM4-CBC', 16, 16, false, 'SM4', '1.2.156.10197.1.104.2'],
  ['SEED-CBC', 16, 16, true, 'SEED', '1.2.410.200004.1.4'],
  ['DES-EDE3-CBC', 24, 8, false, 'DES3', '1.2.840.113549.3.7'],
  ['DES-EDE-CBC', 16, 8, false],
  ['DES-CBC', 8, 8, true, 'DES', '1.3.14.3.2.7'],
  ['BF-CBC', 16, 8, true, 'BF', 'BLOWFISH', '1.3.6.1.4.1.3029.1.2'],
  ['CAST5-CBC', 16, 8, true, 'CAST', 'CAST-CBC', '1.2.840.113533.7.66.10'],
  ['RC2-CBC', 16, 8, true, 'RC2', 'RC2-128', '1.2.840.113549.3.2'],
];

type DigestRow = readonly [name: string, size: number, ...aliases: string[]];

// prettier-ignore
const DIGEST_ROWS: readonly DigestRow[] = [
  ['MD5', 16, 'SSL3-MD5', '1.2.840.113549.2.5'],
  ['SHA1', 20, 'SHA-1', 'SSL3-SHA1', '1.3.14.3.2.26'],
  ['RIPEMD160', 20, 'RIPEMD', 'RIPEMD-160', 'RMD160', '1.3.36.3.2.1'],
  ['SHA224', 28, 'SHA-224', 'SHA2-224', '2.16.840.1.101.3.4.2.4'],
  ['SHA512-224', 28, 'SHA-512/224', 'SHA2-512/224', '2.16.840.1.101.3.4.2.5'],
  ['SHA3-224', 28, '2.16.840.1.101.3.4.2.7'],
  ['SHA256', 32, 'SHA-256', 'SHA2-256', '2.16.840.1.101.3.4.2.1'],
  ['SHA512-256', 32, 'SHA-512/256', 'SHA2-512/256', '2.16.840.1.101.3.4.2.6'],
  ['SHA3-256', 32, '2.16.840.1.101.3.4.2.8'],
  ['BLAKE2s256', 32, 'BLAKE2S-256', '1.3.6.1.4.1.1722.12.2.2.8'],
  ['SM3', 32, '1.2.156.10197.1.401'],
  ['MD5-SHA1', 36],
  ['SHA384', 48, 'SHA-384', 'SHA2-384', '2.16.840.1.101.3.4.2.2'],
  ['SHA3-384', 48, '2.16.840.1.101.3.4.2.9'],
  ['SHA512', 64, 'SHA-512', 'SHA2-512', '2.16.840.1.101.3.4.2.3'],
  ['SHA3-512', 64, '2.16.840.1.101.3.4.2.10'],
  ['BLAKE2b512', 64, 'BLAKE2B-512', '1.3.6.1.4.1.1722.12.2.1.16'],
];

/** All ciphers but `none`; for help texts and tests. */
export const CIPHERS: readonly CipherSpec[] = CIPHER_ROWS.map(([name, keySize, blockSize, legacy]) => ({
  name,
  keySize,
  blockSize,
  legacy,
}));

/** All digests but `none`, by tag size. */
export const DIGESTS: readonly DigestSpec[] = DIGEST_ROWS.map(([name, size]) => ({
  name,
  size,
  legacy: false,
}));

const ciphersByName = new Map<string, CipherSpec>();
CIPHER_ROWS.forEach(([name, , , , ...aliases], i) => {
  for (const key of [name, ...aliases]) ciphersByName.set(key.toUpperCase(), CIPHERS[i]);
});

const digestsByName = new Map<string, DigestSpec>();
DIGEST_ROWS.forEach(([name, , ...aliases], i) => {
  for (const key of [name, ...aliases]) digestsByName.set(key.toUpperCase(), DIGESTS[i]);
});

const USE_AES = 'write `cipher AES-256-CBC` on both ends';
const USE_SHA256 = 'write `auth SHA256` on both ends';

/** Ways to write a cipher that is not plain CBC, and why static-key mode cannot use it. */
const CIPHER_REFUSALS: readonly (readonly [pattern: RegExp, why: string])[] = [
  [
    /GCM|CCM|OCB|SIV|POLY1305/,
    'AEAD ciphers draw their nonces from a TLS handshake; with a fixed key the nonces would repeat after every restart, so static-key mode allows CBC only',
  ],
  [
    /-CBC-HMAC-|-CBC-CTS/,
    'this is a composite or stealing mode of CBC; static-key mode allows plain CBC only',
  ],
  [
    /CTR|OFB|CFB|CHACHA|RC4/,
    'stream modes repeat their key stream when a fixed key meets a repeated IV; static-key mode allows CBC only',
  ],
  [/ECB|XTS|WRAP/, 'static-key mode allows CBC only'],
];

/** Finds the cipher a `cipher` line names. */
export function lookupCipher(name: string): Lookup<CipherSpec> {
  if (name === 'none') return { spec: CIPHER_NONE };
  const upper = name.toUpperCase();
  const spec = ciphersByName.get(upper);
  if (spec !== undefined) return { spec };
  if (upper === 'NONE')
    return { refusal: 'only the lower-case word `none` turns encryption off', fix: USE_AES };
  for (const [pattern, refusal] of CIPHER_REFUSALS) if (pattern.test(upper)) return { refusal, fix: USE_AES };
  const near = ciphersByName.get(
    upper
      .replaceAll('_', '-')
      .replace(/^ID-/, '')
      .replace(/^AES(?=\d)/, 'AES-'),
  );
  return {
    refusal: 'no cipher of this name exists in static-key mode',
    fix: near === undefined ? USE_AES : `write \`cipher ${near.name}\``,
  };
}

/** Finds the digest an `auth` line names. */
export function lookupDigest(name: string): Lookup<DigestSpec> {
  if (name === 'none') return { spec: DIGEST_NONE };
  const upper = name.toUpperCase();
  const spec = digestsByName.get(upper);
  if (spec !== undefined) return { spec };
  if (upper === 'NONE')
    return { refusal: 'only the lower-case word `none` turns authentication off', fix: USE_SHA256 };
  if (upper === 'NULL') {
    return { refusal: 'NULL is a digest of no bytes, which authenticates nothing', fix: USE_SHA256 };
  }
  if (/^(SHAKE|KECCAK)/.test(upper)) {
    return { refusal: 'output of any length (XOF) cannot be used for HMAC', fix: USE_SHA256 };
  }
  const near = upper === 'SHA' ? 'SHA1' : upper.replace(/^RSA-/, '').replaceAll(/[_/]/g, '-');
  const nearSpec = digestsByName.get(near);
  return {
    refusal: 'no digest of this name exists in static-key mode',
    fix: nearSpec === undefined ? USE_SHA256 : `write \`auth ${nearSpec.name}\``,
  };
}
