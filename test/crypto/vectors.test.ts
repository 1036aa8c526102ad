/** What stock OpenVPN sent opens to what it carried, and sealing the same gives the same bytes. */
import { describe, expect, test } from 'vitest';
import { suiteOf } from '../../src/bench/suites.ts';
import { createNobleProvider } from '../../src/crypto/noble.ts';
import { createOpenSslProvider } from '../../src/crypto/openssl.ts';
import type { RandomFill } from '../../src/crypto/provider.ts';
import { deriveKeys, parseStaticKey } from '../../src/crypto/static-key.ts';
import { PASS } from '../../src/packet/verdict.ts';
import { contentsHex, fill, nativeSlot } from '../support/slot.ts';
import { plaintextHex, sessions } from '../support/vectors.ts';
import type { VectorSession } from '../support/vectors.ts';

const providers = [createOpenSslProvider({ legacy: true }), createNobleProvider()];
const rows = providers.flatMap((provider) =>
  sessions
    .filter((session) => provider.supports(suiteOf(session.cipher, session.auth)))
    .map((session) => [provider.name, session.name, provider, session] as const),
);

function senderKeys(session: VectorSession): ReturnType<typeof deriveKeys>['seal'] {
  const key = parseStaticKey(Buffer.from(session.key_file), { file: session.name, firstLine: 1 });
  return deriveKeys(key, session.sender_key_direction ?? undefined, suiteOf(session.cipher, session.auth))
    .seal;
}

test('OpenSSL covers all sessions, noble all but 3DES and Blowfish', () => {
  expect(sessions.length).toBe(36);
  const names = rows.filter(([provider]) => provider === 'noble').map(([, name]) => name);
  const missing = sessions.map(({ name }) => name).filter((name) => !names.includes(name));
  expect(missing).toEqual([
    '10-bfcbc-sha1-defaults.a->b',
    '10-bfcbc-sha1-defaults.b->a',
    '20-3des-md5.a->b',
    '20-3des-md5.b->a',
  ]);
  expect(rows.filter(([provider]) => provider === 'openssl').length).toBe(36);
});

describe.each(rows)('%s, session %s', (_, __, provider, session) => {
  const suite = suiteOf(session.cipher, session.auth);
  const keys = senderKeys(session);
  const batch = nativeSlot();

  test('every datagram opens to the recorded plaintext', () => {
    const opener = provider.createOpener(suite, keys);
    expect(session.datagrams_hex.length).toBe(session.decoded.length);
    session.datagrams_hex.forEach((datagram, i) => {
      fill(batch, Buffer.from(datagram, 'hex'));
      opener.open(batch, 0, 1);
      expect(batch.verdict[0]).toBe(PASS);
      expect(contentsHex(batch)).toBe(plaintextHex(session.decoded[i]));
    });
    opener.dispose();
  });

  test('sealing the recorded plaintext with the recorded IV gives the datagram', () => {
    let iv = '';
    const recordedIv: RandomFill = (bytes, offset, length) => {
      expect(iv.length).toBe(2 * length);
      bytes.set(Buffer.from(iv, 'hex'), offset);
    };
    const sealer = provider.createSealer(suite, keys, recordedIv);
    session.decoded.forEach((datagram, i) => {
      iv = datagram.iv ?? '';
      fill(batch, Buffer.from(plaintextHex(datagram), 'hex'));
      sealer.seal(batch, 0, 1);
      expect(contentsHex(batch)).toBe(session.datagrams_hex[i]);
    });
    sealer.dispose();
  });
});
