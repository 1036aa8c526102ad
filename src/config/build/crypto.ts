/** Key, cipher, digest and replay protection. */
import { resolve } from 'node:path';
import {
  CIPHER_NONE,
  DEFAULT_CIPHER_NAME,
  DEFAULT_DIGEST_NAME,
  DIGEST_NONE,
} from '../../crypto/algorithms.ts';
import { lookupCipher, lookupDigest } from '../../crypto/algorithms.ts';
import type { CipherSpec, DigestSpec } from '../../crypto/algorithms.ts';
import type { SourcePosition } from '../../errors.ts';
import type { Draft, SecretSource } from '../draft.ts';
import { refuse, warn } from '../findings.ts';
import type { PeerConfig } from '../model.ts';

/** The line that replaces every weak or missing cipher. */
export const GOOD_CIPHER_LINE = 'cipher AES-256-CBC';
const ON_BOTH_ENDS = `write on BOTH ends:\n    ${GOOD_CIPHER_LINE}`;
const LEGACY_LINE = 'providers legacy default';

export function hasLegacyProvider(draft: Draft): boolean {
  return draft.settings.providers?.value.includes('legacy') ?? false;
}

/** Stock 2.6 fails the same way, with "Cipher BF-CBC not supported". */
function refuseMissingCipher(draft: Draft, top: SourcePosition): void {
  refuse(
    draft.findings,
    top,
    'CONFIG_CIPHER_MISSING',
    `no \`cipher\` line: OpenVPN's default is ${DEFAULT_CIPHER_NAME}`,
    {
      why: "BF-CBC has 64-bit blocks (SWEET32) and is gone from today's OpenSSL; stock OpenVPN 2.6 does not start either",
      fix: `${ON_BOTH_ENDS}\nor, when the peer cannot change, keep Blowfish by adding here:\n    ${LEGACY_LINE}`,
    },
  );
}

function warnAboutCipher(draft: Draft, spec: CipherSpec, where: SourcePosition): void {
  if (spec.name === 'none') {
    warn(draft.findings, where, 'CONFIG_CIPHER_NONE', 'cipher none: packets travel UNENCRYPTED', {
      why: 'everybody on the path can read them',
      fix: ON_BOTH_ENDS,
    });
  } else if (spec.blockSize === 8) {
    warn(
      draft.findings,
      where,
      'CONFIG_CIPHER_SWEET32',
      `${spec.name} has 64-bit blocks, which leak data (SWEET32)`,
      {
        why: 'after some gigabytes under one key an observer can recover parts of packets; a static key never changes',
        fix: ON_BOTH_ENDS,
      },
    );
  }
}

export function resolveCipher(draft: Draft, top: SourcePosition): CipherSpec {
  const { settings, findings, mentioned } = draft;
  const setting = settings.cipher;
  const legacy = hasLegacyProvider(draft);
  if (setting === undefined) {
    if (draft.tlsLines.length > 0 || mentioned.has('cipher') || mentioned.has('data-ciphers-fallback'))
      return CIPHER_NONE;
    if (!legacy) {
      refuseMissingCipher(draft, top);
      return CIPHER_NONE;
    }
  }
  const name = setting?.value ?? DEFAULT_CIPHER_NAME;
  const where = setting?.where ?? settings.providers?.where ?? top;
  const found = lookupCipher(name);
  if ('refusal' in found) {
    refuse(findings, where, 'CONFIG_CIPHER', `cipher ${name} cannot be used`, {
      why: found.refusal,
      fix: found.fix,
    });
    return CIPHER_NONE;
  }
  if (found.spec.legacy && !legacy) {
    refuse(findings, where, 'CONFIG_CIPHER_LEGACY', `cipher ${found.spec.name} is not available`, {
      why: "it is in OpenSSL's legacy provider only; stock OpenVPN 2.6 refuses it for the same reason",
      fix: `${ON_BOTH_ENDS}\nor, when the peer cannot change, add here:\n    ${LEGACY_LINE}`,
    });
    return CIPHER_NONE;
  }
  warnAboutCipher(draft, found.spec, where);
  return found.spec;
}

export function resolveDigest(draft: Draft, top: SourcePosition): DigestSpec {
  const { findings, settings } = draft;
  const name = settings.auth?.value ?? DEFAULT_DIGEST_NAME;
  const where = settings.auth?.where ?? top;
  const found = lookupDigest(name);
  if ('refusal' in found) {
    refuse(findings, where, 'CONFIG_AUTH', `auth ${name} cannot be used`, {
      why: found.refusal,
      fix: found.fix,
    });
    return DIGEST_NONE;
  }
  if (found.spec.legacy && !hasLegacyProvider(draft)) {
    refuse(findings, where, 'CONFIG_AUTH_LEGACY', `auth ${found.spec.name} is not available`, {
      why: "it is in OpenSSL's legacy provider only",
      fix: `write on BOTH ends:\n    auth SHA256\nor, when the peer cannot change, add here:\n    ${LEGACY_LINE}`,
    });
  }
  if (found.spec.name === 'none') {
    warn(findings, where, 'CONFIG_AUTH_NONE', 'auth none: packets are NOT AUTHENTICATED', {
      why: 'anybody can send packets into the tunnel and change those on their way',
      fix: 'write on BOTH ends:\n    auth SHA256',
    });
  }
  return found.spec;
}

/** Where the key comes from, or undefined when the config does not say (recorded). */
export function resolveSecret(
  draft: Draft,
  top: SourcePosition,
): Exclude<SecretSource, { kind: 'announced' }> | undefined {
  const { findings, settings } = draft;
  const setting = settings.secret;
  if (setting === undefined) {
    if (draft.tlsLines.length > 0 || draft.mentioned.has('secret')) return undefined;
    refuse(findings, top, 'CONFIG_NO_SECRET', 'no `secret` line: the config names no key', {
      fix: 'secret static.key\n(`tsvpn genkey static.key` makes one; copy it to the other end)',
    });
    return undefined;
  }
  if (setting.value.kind === 'announced') {
    refuse(
      findings,
      setting.where,
      'CONFIG_NO_SECRET',
      '`secret [inline]` without a <secret> block after it',
      {
        fix: 'put the key between a line <secret> and a line </secret>, below this line',
      },
    );
    return undefined;
  }
  return setting.value;
}

export function resolveReplay(draft: Draft): PeerConfig['replay'] {
  const { findings, settings } = draft;
  const { window, timeSec } = settings.replayWindow?.value ?? { window: 64, timeSec: 15 };
  if (settings.noReplay !== undefined) {
    if (settings.replayWindow !== undefined && (window !== 64 || timeSec !== 15)) {
      const { where } = settings.replayWindow;
      refuse(findings, where, 'CONFIG_REPLAY', '`replay-window` together with `no-replay`', {
        why: 'without packet ids there is nothing to check',
        fix: 'remove `no-replay` on both ends',
      });
    }
    warn(
      findings,
      settings.noReplay.where,
      'CONFIG_NO_REPLAY',
      'no-replay: recorded packets can be sent AGAIN',
      {
        why: 'packets carry no ids, so an old one is as good as a new one; OpenVPN 2.7 refuses this',
        fix: 'remove `no-replay` on both ends',
      },
    );
  }
  const { replayPersist } = settings;
  if (replayPersist !== undefined && settings.noReplay !== undefined) {
    const what = 'replay-persist has no effect: with `no-replay` there is nothing to keep';
    warn(findings, replayPersist.where, 'CONFIG_NO_EFFECT', what);
  }
  return {
    enabled: settings.noReplay === undefined,
    window,
    timeSec,
    persist: replayPersist && resolve(draft.directory, replayPersist.value),
    muteWarnings: settings.muteReplayWarnings !== undefined,
  };
}
