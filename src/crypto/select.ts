/** Chooses the crypto provider of a tunnel: the first that knows the suite and passes its self-test. */
import { ExitCode, OperatorError } from '../errors.ts';
import { createNobleProvider } from './noble.ts';
import { createOpenSslProvider } from './openssl.ts';
import type { CryptoProvider, Suite } from './provider.ts';
import { selfTest } from './self-test.ts';

export interface SelectOptions {
  /** Use this provider or none: the value of TSVPN_CRYPTO. */
  readonly forced?: string | undefined;
  /** `providers legacy` was given: OpenSSL's legacy provider may be loaded. */
  readonly legacy: boolean;
  /** Told why a provider is passed over; one line, no full stop. */
  readonly log?: ((line: string) => void) | undefined;
}

type ProviderName = CryptoProvider['name'];

/** Fastest first. */
const CANDIDATES: readonly (readonly [ProviderName, (legacy: boolean) => CryptoProvider])[] = [
  ['openssl', (legacy) => createOpenSslProvider({ legacy })],
  ['noble', () => createNobleProvider()],
];

export const PROVIDER_NAMES: readonly ProviderName[] = CANDIDATES.map(([name]) => name);

/** The provider, or why it cannot be used. */
function tryProvider(
  create: (legacy: boolean) => CryptoProvider,
  suite: Suite,
  legacy: boolean,
): CryptoProvider | string {
  let provider: CryptoProvider;
  try {
    provider = create(legacy);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const fault = provider.supports(suite)
    ? selfTest(provider, suite)
    : `it does not have ${suite.cipher.name} with ${suite.digest.name}`;
  if (fault === undefined) return provider;
  provider.dispose();
  return fault;
}

function unsupported(suite: Suite, legacy: boolean, reasons: readonly string[]): OperatorError {
  const needsLegacy = !legacy && (suite.cipher.legacy || suite.digest.legacy);
  return new OperatorError({
    code: 'CRYPTO_UNSUPPORTED',
    what: `no crypto provider here can do ${suite.cipher.name} with ${suite.digest.name}`,
    why: reasons.join('; '),
    fix: needsLegacy
      ? 'better: write `cipher AES-256-CBC` on both ends; or add `providers legacy default` to this config'
      : 'write `cipher AES-256-CBC` and `auth SHA256` on both ends',
    exitCode: ExitCode.Usage,
  });
}

/**
 * A provider for `suite` that has passed its self-test; the caller disposes of it. Throws OperatorError when there is
 * none, or when the forced one is unknown or unfit.
 */
export function selectProvider(suite: Suite, { forced, legacy, log }: SelectOptions): CryptoProvider {
  const candidates = CANDIDATES.filter(([name]) => forced === undefined || name === forced);
  if (candidates.length === 0) {
    throw new OperatorError({
      code: 'CRYPTO_UNKNOWN_PROVIDER',
      what: `there is no crypto provider called '${forced}'`,
      why: `TSVPN_CRYPTO forces one of ${PROVIDER_NAMES.join(', ')}`,
      fix: 'unset TSVPN_CRYPTO to let tsvpn choose',
      exitCode: ExitCode.Usage,
    });
  }
  const reasons: string[] = [];
  for (const [name, create] of candidates) {
    const result = tryProvider(create, suite, legacy);
    if (typeof result !== 'string') return result;
    reasons.push(`${name}: ${result}`);
    log?.(`crypto provider ${name} is not used: ${result}`);
  }
  throw unsupported(suite, legacy, reasons);
}
