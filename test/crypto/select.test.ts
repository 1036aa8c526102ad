import { describe, expect, test } from 'vitest';
import { suiteOf } from '../../src/bench/suites.ts';
import { CIPHER_NONE, CIPHERS, DIGEST_NONE, DIGESTS } from '../../src/crypto/algorithms.ts';
import { createNobleProvider } from '../../src/crypto/noble.ts';
import { createOpenSslProvider } from '../../src/crypto/openssl.ts';
import type { CryptoProvider, Suite } from '../../src/crypto/provider.ts';
import { selectProvider } from '../../src/crypto/select.ts';
import { selfTest } from '../../src/crypto/self-test.ts';
import { ExitCode } from '../../src/errors.ts';
import { bulkProviders, openssl } from '../support/providers.ts';

describe('selectProvider', () => {
  test('prefers the fastest there is', () => {
    const fastest = [...bulkProviders, openssl][0];
    const provider = selectProvider(suiteOf('AES-256-CBC', 'SHA256'), { legacy: false });
    expect([provider.name, provider.description]).toEqual([fastest.name, fastest.description]);
    provider.dispose();
  });

  test('leaves what the fast ones lack to OpenSSL, without a word', () => {
    const lines: string[] = [];
    const provider = selectProvider(suiteOf('CAMELLIA-128-CBC', 'SHA512'), {
      legacy: false,
      log: (line) => lines.push(line),
    });
    expect(provider.name).toBe('openssl');
    expect(provider.description).toMatch(/^OpenSSL \d/);
    expect(lines).toEqual([]);
    provider.dispose();
  });

  test('takes the provider it is told to', () => {
    expect(selectProvider(suiteOf('AES-256-CBC', 'SHA256'), { legacy: false, forced: 'noble' }).name).toBe(
      'noble',
    );
  });

  test('names the providers there are when told an unknown one', () => {
    const select = (): unknown => selectProvider(suiteOf('none', 'none'), { legacy: false, forced: 'rot13' });
    expect(select).toThrow(
      expect.objectContaining({
        code: 'CRYPTO_UNKNOWN_PROVIDER',
        why: expect.stringContaining('openssl, noble'),
      }),
    );
  });

  test('refuses BF-CBC without the legacy provider and says how to get it', () => {
    const select = (): unknown => selectProvider(suiteOf('BF-CBC', 'SHA1'), { legacy: false });
    expect(select).toThrow(
      expect.objectContaining({
        code: 'CRYPTO_UNSUPPORTED',
        exitCode: ExitCode.Usage,
        why: expect.stringContaining(
          'openssl: it does not have BF-CBC with SHA1; noble: it does not have BF-CBC with SHA1',
        ),
        fix: expect.stringContaining('providers legacy default'),
      }),
    );
  });

  test('does not use a forced provider that lacks the suite', () => {
    const select = (): unknown =>
      selectProvider(suiteOf('SM4-CBC', 'SHA1'), { legacy: false, forced: 'noble' });
    expect(select).toThrow(
      expect.objectContaining({
        code: 'CRYPTO_UNSUPPORTED',
        why: 'noble: it does not have SM4-CBC with SHA1',
        fix: 'unset TSVPN_CRYPTO to let tsvpn choose',
      }),
    );
  });
});

describe('selfTest', () => {
  const legacy = createOpenSslProvider({ legacy: true });

  const bulkSuites = bulkProviders.flatMap((provider) =>
    CIPHERS.flatMap((cipher) => DIGESTS.map((digest) => ({ cipher, digest })))
      .filter((suite) => provider.supports(suite))
      .map((suite) => [provider.name, suite.cipher.name, suite.digest.name, provider, suite] as const),
  );
  test.each(bulkSuites)('%s passes with %s, %s', (_, __, ___, provider, suite) => {
    expect(selfTest(provider, suite)).toBeUndefined();
  });

  test.each(CIPHERS.map((cipher) => [cipher.name, cipher] as const))(
    'OpenSSL passes with %s',
    (_, cipher) => {
      expect(legacy.supports({ cipher, digest: DIGEST_NONE })).toBe(true);
      expect(selfTest(legacy, { cipher, digest: DIGESTS[0] })).toBeUndefined();
    },
  );

  test.each(DIGESTS.map((digest) => [digest.name, digest] as const))(
    'OpenSSL passes with %s',
    (_, digest) => {
      expect(legacy.supports({ cipher: CIPHER_NONE, digest })).toBe(true);
      expect(selfTest(legacy, { cipher: CIPHERS[0], digest })).toBeUndefined();
    },
  );

  test('passes with neither encryption nor authentication', () => {
    expect(selfTest(legacy, { cipher: CIPHER_NONE, digest: DIGEST_NONE })).toBeUndefined();
  });

  const [aes, sha] = [suiteOf('AES-256-CBC', 'none').cipher, suiteOf('none', 'SHA256').digest];
  /** noble, doing something else than it was asked to. */
  const faulty = (change: (suite: Suite) => Suite): CryptoProvider => {
    const noble = createNobleProvider();
    return {
      ...noble,
      createSealer: (suite, keys, random) => noble.createSealer(change(suite), keys, random),
      createOpener: (suite, keys) => noble.createOpener(change(suite), keys),
    };
  };

  test.each([
    [
      'does not encrypt',
      faulty(({ digest }) => ({ cipher: CIPHER_NONE, digest })),
      { cipher: aes, digest: sha },
      'AES-256-CBC gives wrong answers',
    ],
    [
      'hashes with another digest',
      faulty(({ cipher, digest }) => ({
        cipher,
        digest: digest === sha ? { ...sha, name: 'SHA3-256' } : digest,
      })),
      { cipher: CIPHER_NONE, digest: sha },
      'HMAC with SHA256 gives wrong answers',
    ],
    [
      'does not check the HMAC',
      {
        ...createNobleProvider(),
        createOpener: () => ({
          open(batch) {
            batch.start[0] += 32;
            batch.length[0] -= 32;
          },
          dispose() {},
        }),
      } satisfies CryptoProvider,
      { cipher: CIPHER_NONE, digest: sha },
      'it does not open what it seals',
    ],
  ] as const)('refuses a provider that %s', (_, provider, suite, fault) => {
    expect(selfTest(provider, suite)).toBe(fault);
  });
});
