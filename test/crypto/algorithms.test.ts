import { describe, expect, test } from 'vitest';
import { CIPHERS, DIGESTS, lookupCipher, lookupDigest } from '../../src/crypto/algorithms.ts';

describe('lookupCipher', () => {
  test.each([
    ['AES-256-CBC', 'AES-256-CBC', 32, 16],
    ['aes-256-cbc', 'AES-256-CBC', 32, 16],
    ['AES256', 'AES-256-CBC', 32, 16],
    ['2.16.840.1.101.3.4.1.42', 'AES-256-CBC', 32, 16],
    ['camellia256', 'CAMELLIA-256-CBC', 32, 16],
    ['DES3', 'DES-EDE3-CBC', 24, 8],
    ['bf', 'BF-CBC', 16, 8],
    ['BLOWFISH', 'BF-CBC', 16, 8],
    ['SM4', 'SM4-CBC', 16, 16],
    ['des-cbc', 'DES-CBC', 8, 8],
    ['none', 'none', 0, 0],
  ])('%s is %s', (name, canonical, keySize, blockSize) => {
    expect(lookupCipher(name)).toMatchObject({ spec: { name: canonical, keySize, blockSize } });
  });

  test.each([
    ['AES-256-GCM', /AEAD/, /AES-256-CBC/],
    ['CHACHA20-POLY1305', /AEAD/, /AES-256-CBC/],
    ['AES-128-CTR', /CBC only/, /AES-256-CBC/],
    ['AES-256-OFB', /CBC only/, /AES-256-CBC/],
    ['bf-cfb', /CBC only/, /AES-256-CBC/],
    ['AES-256-ECB', /CBC only/, /AES-256-CBC/],
    ['AES-128-CBC-HMAC-SHA1', /plain CBC only/, /AES-256-CBC/],
    ['AES-256-CBC-CTS', /plain CBC only/, /AES-256-CBC/],
    ['NONE', /lower-case/, /AES-256-CBC/],
    ['AES_128_CBC', /no cipher/, /cipher AES-128-CBC/],
    ['id-aes192-CBC', /no cipher/, /cipher AES-192-CBC/],
    ['ROT13', /no cipher/, /AES-256-CBC/],
    ['', /no cipher/, /AES-256-CBC/],
  ])('refuses "%s"', (name, refusal, fix) => {
    const answer = lookupCipher(name);
    expect(answer).toEqual({ refusal: expect.stringMatching(refusal), fix: expect.stringMatching(fix) });
  });

  test('finds every listed cipher under its own name', () => {
    for (const spec of CIPHERS) expect(lookupCipher(spec.name.toLowerCase())).toEqual({ spec });
  });
});

describe('lookupDigest', () => {
  test.each([
    ['SHA256', 'SHA256', 32],
    ['sha-256', 'SHA256', 32],
    ['SHA2-256', 'SHA256', 32],
    ['SHA-1', 'SHA1', 20],
    ['ssl3-sha1', 'SHA1', 20],
    ['ripemd', 'RIPEMD160', 20],
    ['blake2S256', 'BLAKE2s256', 32],
    ['md5-sha1', 'MD5-SHA1', 36],
    ['none', 'none', 0],
  ])('%s is %s', (name, canonical, size) => {
    expect(lookupDigest(name)).toMatchObject({ spec: { name: canonical, size } });
  });

  test.each([
    ['NULL', /authenticates nothing/, /SHA256/],
    ['null', /authenticates nothing/, /SHA256/],
    ['SHAKE256', /XOF/, /SHA256/],
    ['KECCAK-KMAC-128', /XOF/, /SHA256/],
    ['None', /lower-case/, /SHA256/],
    ['SHA', /no digest/, /auth SHA1/],
    ['RSA-SHA512', /no digest/, /auth SHA512/],
    ['SHA512/256', /no digest/, /auth SHA512-256/],
    ['CRC32', /no digest/, /SHA256/],
  ])('refuses "%s"', (name, refusal, fix) => {
    const answer = lookupDigest(name);
    expect(answer).toEqual({ refusal: expect.stringMatching(refusal), fix: expect.stringMatching(fix) });
  });

  test('finds every listed digest under its own name', () => {
    for (const spec of DIGESTS) expect(lookupDigest(spec.name.toLowerCase())).toEqual({ spec });
  });
});
