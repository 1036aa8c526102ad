import { choice, int, optional, rest, word } from '../arguments.ts';
import { set } from '../draft.ts';
import type { Draft } from '../draft.ts';
import { refuse, warn } from '../findings.ts';
import type { Line } from '../lexer.ts';
import { ignored, refused, supported } from './spec.ts';
import type { Section } from './spec.ts';

const direction = choice(['0', '1']);
const COMMAND_LINE = 'it is a command of its own, not part of a tunnel';

function setDirection(draft: Draft, given: '0' | '1' | undefined, line: Line): void {
  if (given !== undefined) set(draft, 'keyDirection', given === '0' ? 0 : 1, line);
}

/** Stock 2.6 lets a block follow `secret [inline] 1`; the other way round the literal file name wins. */
function applySecret(draft: Draft, file: string | undefined, given: '0' | '1' | undefined, line: Line): void {
  if (line.block !== undefined) {
    set(draft, 'secret', { kind: 'inline', ...line.block }, line);
  } else if (file === undefined) {
    refuse(draft.findings, line.where, 'CONFIG_ARGUMENTS', 'secret needs the name of the key file', {
      fix: 'secret static.key, or the key itself between <secret> and </secret>',
    });
  } else {
    set(draft, 'secret', file === '[inline]' ? { kind: 'announced' } : { kind: 'file', path: file }, line);
  }
  setDirection(draft, given, line);
}

function applyProviders(draft: Draft, names: readonly string[], line: Line): void {
  const unknown = names.filter((name) => name !== 'legacy' && name !== 'default');
  if (unknown.length > 0) {
    warn(draft.findings, line.where, 'CONFIG_PROVIDER', `providers ${unknown.join(' ')} has no effect`, {
      why: "tsvpn knows OpenSSL's providers `default` and `legacy`",
    });
  }
  if (names.includes('legacy') && !names.includes('default')) {
    refuse(draft.findings, line.where, 'CONFIG_PROVIDER', '`providers legacy` without `default`', {
      why: 'OpenSSL then has neither AES nor SHA1, and OpenVPN does not start',
      fix: 'providers legacy default',
    });
  }
  set(draft, 'providers', names, line);
}

export const CRYPTO: Section = {
  title: 'Key and crypto',
  directives: [
    supported(
      'secret',
      [optional(word('FILE')), optional(direction)],
      'The shared key: a file made by `tsvpn genkey` or `openvpn --genkey`, or inline as <secret>.',
      (draft, [file, given], line) => applySecret(draft, file, given, line),
      {
        block: true,
        difference:
          'Every fault of a key file is told with its line and column. The key is never logged; OpenVPN logs it from `verb 7` on.',
      },
    ),
    supported(
      'key-direction',
      [direction],
      'Which half of the key each direction uses: 0 on one end, 1 on the other.',
      (draft, [given], line) => setDirection(draft, given, line),
      { preset: 'none: both directions share one half' },
    ),
    supported(
      'cipher',
      [word('NAME')],
      'Cipher of the data channel, CBC mode or `none`; the same on both ends.',
      (draft, [name], line) => set(draft, 'cipher', name, line),
      {
        preset: 'BF-CBC, refused without `providers legacy default`',
        aliases: ['data-ciphers-fallback'],
        difference:
          '`RC4`, stream and AEAD modes are refused with the reason. Without the line OpenVPN means BF-CBC and fails with OpenSSL 3; here the error says so.',
      },
    ),
    supported(
      'auth',
      [word('NAME')],
      'Digest of the HMAC that authenticates every packet, or `none`; the same on both ends.',
      (draft, [name], line) => set(draft, 'auth', name, line),
      { preset: 'SHA1', difference: '`auth NULL`, a digest of no bytes, is refused.' },
    ),
    supported(
      'replay-window',
      [int('PACKETS', 0, 65536), optional(int('SECONDS', 0, 600))],
      'How far packets may arrive out of order; 0 packets demands strict order.',
      (draft, [window, timeSec = 15], line) => set(draft, 'replayWindow', { window, timeSec }, line),
      {
        preset: '64 15',
        difference: 'The window outlives soft restarts of the tunnel, so that recorded packets stay refused.',
      },
    ),
    supported(
      'mute-replay-warnings',
      [],
      'Drop replayed packets without a word in the log.',
      (draft, _, line) => set(draft, 'muteReplayWarnings', true, line),
    ),
    supported(
      'no-replay',
      [],
      'Send no packet ids: a recorded packet can be sent again. Must be the same on both ends.',
      (draft, _, line) => set(draft, 'noReplay', true, line),
    ),
    supported(
      'providers',
      [rest('NAME')],
      '`providers legacy default` makes BF-CBC and other ciphers of the past available.',
      (draft, [names], line) => applyProviders(draft, names, line),
      {
        preset: 'default',
        difference:
          '`providers legacy` alone is refused, as OpenVPN would not start. Other providers have no effect.',
      },
    ),
    supported(
      'allow-deprecated-insecure-static-crypto',
      [],
      'Lets OpenVPN 2.7 run a static-key tunnel; write it as `setenv opt ...`, which 2.6 understands.',
      () => undefined,
      { difference: 'OpenVPN 2.6 does not know the line; 2.7 needs it.' },
    ),
    supported(
      'replay-persist',
      [word('FILE')],
      'Keep in a file what was received last, so that a new process takes no packet that an earlier one has taken. Each peer has a file ' +
        'of its own.',
      (draft, [path], line) => set(draft, 'replayPersist', path, line),
      {
        preset: 'off: a new process starts afresh',
        difference: "The same file; behind OpenVPN's 16 bytes stand epochs of our own packets.",
      },
    ),
    ignored(
      'data-ciphers',
      'Ciphers a TLS peer may negotiate.',
      undefined,
      'The list is not read; OpenVPN 2.6 refuses unknown names in it.',
    ),
    ignored(
      'ncp-ciphers',
      'Old name of data-ciphers.',
      undefined,
      'The list is not read; OpenVPN 2.6 refuses unknown names in it.',
    ),
    ignored('engine', 'OpenSSL engine to load.', 'tsvpn loads no OpenSSL engines'),
    ignored(
      'prng',
      'Random number generator.',
      "random bytes come from the kernel through Node's OpenSSL",
      'None: OpenVPN 2.6 ignores it, too.',
    ),
    ignored(
      'use-prediction-resistance',
      'mbedTLS random generator option.',
      'tsvpn does not use mbedTLS',
      'OpenVPN built with OpenSSL does not know the line.',
    ),
    ignored(
      'auth-nocache',
      'Forget passwords.',
      'a static-key tunnel has no passwords',
      'None: there are no passwords to forget.',
    ),
    refused(
      'keysize',
      'Key length of variable-key ciphers (OpenVPN 2.5 and older).',
      'it changes the key and with it the wire format; OpenVPN 2.6 does not know it',
      'remove it on both ends and use cipher AES-256-CBC on both ends',
    ),
    refused(
      'no-iv',
      'Packets without IV (OpenVPN 2.4 and older).',
      'equal packets would look equal on the wire; no current OpenVPN supports it',
      'remove it on both ends',
    ),
    refused('askpass', 'Password of a private key.', 'a static key has no password', 'remove it'),
    refused('genkey', 'Make a key; `tsvpn --genkey secret FILE` does.', COMMAND_LINE, 'tsvpn genkey FILE'),
    refused('test-crypto', "Self-test of OpenVPN's crypto.", COMMAND_LINE, 'remove it'),
  ],
};
