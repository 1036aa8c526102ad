/** The cipher and digest pairs that are compared. */
import { lookupCipher, lookupDigest } from '../crypto/algorithms.ts';
import type { Suite } from '../crypto/provider.ts';

/** As written in a config: cipher, auth. */
export const SUITE_NAMES: readonly (readonly [cipher: string, auth: string])[] = [
  ['AES-128-CBC', 'SHA1'],
  ['AES-256-CBC', 'SHA1'],
  ['AES-256-CBC', 'SHA256'],
  ['AES-256-CBC', 'SHA512'],
  ['AES-256-CBC', 'none'],
  ['none', 'SHA256'],
  ['CAMELLIA-256-CBC', 'SHA256'],
  ['BF-CBC', 'SHA1'],
];

export function suiteOf(cipherName: string, digestName: string): Suite {
  const cipher = lookupCipher(cipherName);
  const digest = lookupDigest(digestName);
  if ('spec' in cipher && 'spec' in digest) return { cipher: cipher.spec, digest: digest.spec };
  throw new Error(`no suite ${cipherName}/${digestName}`);
}
