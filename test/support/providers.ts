/** The crypto providers of this machine, and why the others are missing. */
import { createIpsecMbProvider } from '../../src/crypto/ipsecmb.ts';
import { createNobleProvider } from '../../src/crypto/noble.ts';
import { createOpenSslProvider } from '../../src/crypto/openssl.ts';
import { ProviderAbsent } from '../../src/crypto/provider.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';

export const openssl = createOpenSslProvider({ legacy: false });
export const noble = createNobleProvider();

/** Name and reason of each provider this machine cannot have. */
export const absentProviders: (readonly [name: string, reason: string])[] = [];

function optional(name: string, create: () => CryptoProvider): CryptoProvider[] {
  try {
    return [create()];
  } catch (error) {
    if (!(error instanceof ProviderAbsent)) throw error;
    absentProviders.push([name, error.message]);
    return [];
  }
}

/** Those that work on many packets at a time, fastest first. */
export const bulkProviders: readonly CryptoProvider[] = [
  ...optional('ipsecmb', createIpsecMbProvider),
  ...optional('openssl-mb', () => createOpenSslProvider({ legacy: false, multiBuffer: true })),
];

/** All, with their names for test tables. */
export const providers = [...bulkProviders, openssl, noble].map(
  (provider) => [provider.name, provider] as const,
);
