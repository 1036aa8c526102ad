import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { suiteOf } from '../../src/bench/suites.ts';
import {
  checkKeyStrength,
  deriveKeys,
  formatStaticKey,
  generateStaticKey,
  keyFingerprint,
  parseStaticKey,
} from '../../src/crypto/static-key.ts';
import type { KeyDirection } from '../../src/crypto/static-key.ts';
import { ExitCode, OperatorError } from '../../src/errors.ts';

interface KeyFileCase {
  case: string;
  key_file: string;
  key_direction: string | null;
  accepted: boolean;
  outgoing_cipher_key_hex: string | null;
  incoming_cipher_key_hex: string | null;
}

const behaviour = new URL('../behaviour/keyfile-cases.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(behaviour, 'utf8')) as { cases: KeyFileCase[] };

const suite = suiteOf('AES-256-CBC', 'SHA256');
const aes256 = suite.cipher;
const source = { file: 'static.key', firstLine: 1 };
const where = { file: 'static.key', line: 1, column: 1 };

function parse(text: string): Uint8Array {
  return parseStaticKey(Buffer.from(text, 'utf8'), source);
}

function errorOf(action: () => unknown): OperatorError {
  try {
    action();
  } catch (error) {
    if (error instanceof OperatorError) return error;
  }
  throw new Error('no OperatorError was thrown');
}

/** A key text with lines 1 comment, 2 BEGIN, 3-18 data, 19 END. */
const key = Uint8Array.from({ length: 256 }, (_, i) => i);
const lines = formatStaticKey(key).toString('latin1').split('\n').slice(2, -1);
const edited = (change: (lines: string[]) => void): string => {
  const copy = [...lines];
  change(copy);
  return copy.join('\n');
};

describe('key files as stock 2.6.14 answers them', () => {
  test.each(cases.map((c) => [c.case, c.key_direction ?? 'no direction', c] as const))(
    '%s, %s',
    (_, __, c) => {
      const use = (): ReturnType<typeof deriveKeys> => {
        const parsed = parse(c.key_file);
        checkKeyStrength(parsed, aes256, where);
        return deriveKeys(
          parsed,
          (c.key_direction === null ? undefined : Number(c.key_direction)) as KeyDirection,
          suite,
        );
      };
      if (c.accepted) {
        const { seal, open } = use();
        expect(Buffer.from(seal.cipher).toString('hex')).toBe(c.outgoing_cipher_key_hex);
        expect(Buffer.from(open.cipher).toString('hex')).toBe(c.incoming_cipher_key_hex);
      } else {
        expect(errorOf(use).exitCode).toBe(ExitCode.Key);
      }
    },
  );
});

describe('parseStaticKey', () => {
  test.each([
    ['no text', '', 'KEY_NO_HEADER', 1, 1],
    ['another file', 'dev tun\nifconfig\n', 'KEY_NO_HEADER', 1, 1],
    ['BEGIN line indented', edited((l) => (l[1] = `  ${l[1]}`)), 'KEY_NO_HEADER', 2, 3],
    ['letter in the data', edited((l) => (l[4] = `0123z${l[4]}`)), 'KEY_BAD_CHARACTER', 5, 5],
    ['comment in the data', edited((l) => (l[2] = '# key')), 'KEY_BAD_CHARACTER', 3, 1],
    ['dash inside a line', edited((l) => (l[2] = ' -')), 'KEY_BAD_CHARACTER', 3, 2],
    ['one data line missing', edited((l) => l.splice(5, 1)), 'KEY_TOO_SHORT', 18, 1],
    ['cut off in the data', edited((l) => l.splice(5)), 'KEY_TOO_SHORT', 5, 33],
    ['BEGIN line and nothing else', edited((l) => l.splice(2)), 'KEY_TOO_SHORT', 2, 38],
    ['END line missing', edited((l) => l.pop()), 'KEY_NO_FOOTER', 18, 33],
    ['END line misspelt', edited((l) => (l[18] = '-----END')), 'KEY_NO_FOOTER', 19, 1],
  ])('names the position of: %s', (_, text, code, line, column) => {
    const error = errorOf(() => parse(text));
    expect(error).toMatchObject({
      code,
      exitCode: ExitCode.Key,
      where: { file: 'static.key', line, column },
    });
  });

  test('counts lines from the first line of an inline block', () => {
    const text = Buffer.from(edited((l) => (l[4] = 'xyz')));
    const error = errorOf(() => parseStaticKey(text, { file: 'peer.conf', firstLine: 11 }));
    expect(error.where).toEqual({ file: 'peer.conf', line: 15, column: 1 });
  });

  test('recognises a later END line after a misspelt one', () => {
    expect(parse(edited((l) => l.splice(18, 0, '-----'))).length).toBe(256);
  });

  test('does not show key digits in any error', () => {
    for (const c of cases.filter((row) => !row.accepted)) {
      const error = errorOf(() => checkKeyStrength(parse(c.key_file), aes256, where));
      const shown = [error.message, error.what, error.why, error.fix].join('\n');
      expect(shown).not.toMatch(/[0-9a-f]{8}/i);
    }
  });
});

describe('formatStaticKey', () => {
  test('is read back to the same bytes, in 636 bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 256, maxLength: 256 }), (bytes) => {
        const text = formatStaticKey(bytes);
        expect(text.length).toBe(636);
        expect(parseStaticKey(text, source)).toEqual(bytes);
      }),
      { numRuns: 20 },
    );
  });

  test('writes the text stock writes', () => {
    const stock = cases.find((c) => c.case === 'normal')!.key_file;
    expect(formatStaticKey(parse(stock)).toString('latin1')).toBe(stock);
  });
});

describe('deriveKeys', () => {
  const slot = (start: number, length: number): Uint8Array => key.slice(start, start + length);
  test.each([
    ['no direction', undefined, 0, 0],
    ['direction 0', 0, 0, 128],
    ['direction 1', 1, 128, 0],
  ] as const)('%s', (_, direction, sealAt, openAt) => {
    expect(deriveKeys(key, direction, suite)).toEqual({
      seal: { cipher: slot(sealAt, 32), hmac: slot(sealAt + 64, 32) },
      open: { cipher: slot(openAt, 32), hmac: slot(openAt + 64, 32) },
    });
  });
});

describe('checkKeyStrength', () => {
  const aes128 = suiteOf('AES-128-CBC', 'SHA256').cipher;
  test.each([
    ['zero in the first key', 0, 32, aes256, true],
    ['zero in the second key', 128, 32, aes256, true],
    ['only the unused rest of the slot is zero', 16, 48, aes128, false],
    ['one byte is not zero', 0, 31, aes256, false],
    ['HMAC slot zero', 64, 64, aes256, false],
    ['cipher none', 0, 64, { name: 'none', keySize: 0, blockSize: 0, legacy: false }, false],
  ] as const)('%s', (_, start, length, cipher, refused) => {
    const weak = new Uint8Array(256).fill(7).fill(0, start, start + length);
    if (refused) expect(errorOf(() => checkKeyStrength(weak, cipher, where)).code).toBe('KEY_ZERO');
    else expect(() => checkKeyStrength(weak, cipher, where)).not.toThrow();
  });
});

test('two generated keys differ, and so do their fingerprints', () => {
  const [a, b] = [generateStaticKey(), generateStaticKey()];
  expect(a).not.toEqual(b);
  expect(keyFingerprint(a)).not.toBe(keyFingerprint(b));
});

test('the fingerprint is the start of the SHA-256 of the key', () => {
  expect(keyFingerprint(key)).toBe('40aff2e9');
});
