/** Chooses the crypto provider of a tunnel: the first that knows the suite and passes its self-test. */
import { ExitCode, OperatorError } from '../errors.ts';
import { createIpsecMbProvider } from './ipsecmb.ts';
import { createNobleProvider } from './noble.ts';
import { createOpenSslProvider } from './openssl.ts';
import { ProviderAbsent } from './provider.ts';
import type { CryptoProvider, Suite } from './provider.ts';
import { selfTest } from './self-test.ts';

export interface SelectOptions {
  /** Use this provider or none: the value of TSVPN_CRYPTO. */
  readonly forced?: string | undefined;
  /** `providers legacy` was given: OpenSSL's legacy provider may be loaded. */
  readonly legacy: boolean;
  /** Told why a provider is passed over that ought to work; one line, no full stop. */
  readonly log?: ((line: string) => void) | undefined;
}

type ProviderName = CryptoProvider['name'];

/** Fastest first. */
const CANDIDATES: readonly (readonly [ProviderName, (legacy: boolean) => CryptoProvider])[] = [
  ['ipsecmb', () => createIpsecMbProvider()],
  ['openssl-mb', (legacy) => createOpenSslProvider({ legacy, multiBuffer: true })],
  ['openssl', (legacy) => createOpenSslProvider({ legacy })],
  ['noble', () => createNobleProvider()],
];

export const PROVIDER_NAMES: readonly ProviderName[] = CANDIDATES.map(([name]) => name);

interface Refusal {
  readonly reason: string;
  /** Something is wrong, as opposed to a provider that is not on this machine or was never made for the suite. */
  readonly faulty: boolean;
}

/** The provider, or why it cannot be used. */
function tryProvider(
  create: (legacy: boolean) => CryptoProvider,
  suite: Suite,
  legacy: boolean,
): CryptoProvider | Refusal {
  let provider: CryptoProvider;
  try {
    provider = create(legacy);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { reason, faulty: !(error instanceof ProviderAbsent) };
  }
  if (!provider.supports(suite)) {
    provider.dispose();
    return { reason: `it does not have ${suite.cipher.name} with ${suite.digest.name}`, faulty: false };
  }
  const fault = selfTest(provider, suite);
  if (fault === undefined) return provider;
  provider.dispose();
  return { reason: fault, faulty: true };
}

function unfit(forced: string, suite: Suite, reasons: readonly string[]): OperatorError {
  return new OperatorError({
    code: 'CRYPTO_UNSUPPORTED',
    what: `crypto provider ${forced} cannot be used for ${suite.cipher.name} with ${suite.digest.name}`,
    why: reasons.join('; '),
    fix: 'unset TSVPN_CRYPTO to let tsvpn choose',
    exitCode: ExitCode.Usage,
  });
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
    directives: suite.digest.legacy && !suite.cipher.legacy ? ['auth'] : ['cipher', 'auth'],
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
    if (!('reason' in result)) return result;
    reasons.push(`${name}: ${result.reason}`);
    if (result.faulty) log?.(`crypto provider ${name} is not used: ${result.reason}`);
  }
  throw forced === undefined ? unsupported(suite, legacy, reasons) : unfit(forced, suite, reasons);
}
