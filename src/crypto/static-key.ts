/**
 * OpenVPN's static key: 256 bytes, two keys of a 64-byte cipher slot and a 64-byte HMAC slot each, in a text file.
 *
 *     bytes     0..63 cipher 0 │ 64..127 HMAC 0 │ 128..191 cipher 1 │ 192..255 HMAC 1
 *
 * Only the front of a slot is used: cipher.keySize bytes and digest.size bytes. Key bytes never become strings and
 * never appear in an error; the buffers returned here belong to the caller, who zeroes them when done.
 */
import { createHash, randomFillSync } from 'node:crypto';
import { ExitCode, OperatorError } from '../errors.ts';
import type { SourcePosition } from '../errors.ts';
import type { CipherSpec } from './algorithms.ts';
import type { DirectionKeys, Suite } from './provider.ts';

const STATIC_KEY_SIZE = 256;
const KEY_SIZE = 128;
const HMAC_SLOT = 64;

/** Where a key text comes from, for error messages. */
export interface KeySource {
  readonly file: string;
  /** Line number of the text's first line in `file`: 1 for a key file, more for an inline block. */
  readonly firstLine: number;
}

/** Second argument of `secret`, or `key-direction`; undefined uses key 0 both ways. */
export type KeyDirection = 0 | 1 | undefined;

const BEGIN = Buffer.from('-----BEGIN OpenVPN Static key V1-----', 'latin1');
const END = Buffer.from('-----END OpenVPN Static key V1-----', 'latin1');

const LINE_FEED = 0x0a;
const DASH = 0x2d;
const NEW_KEY = 'make a new key with `tsvpn genkey FILE` and copy it to both ends';

function keyError(
  code: string,
  what: string,
  why: string,
  fix: string,
  where: SourcePosition,
): OperatorError {
  return new OperatorError({ code, what, why, fix, where, exitCode: ExitCode.Key });
}

/** Value of a hexadecimal digit, or -1. */
function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Blanks between hex digits: space, tab, CR and line feed. */
function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0d || byte === LINE_FEED;
}

function startsWith(text: Uint8Array, at: number, prefix: Uint8Array): boolean {
  if (at + prefix.length > text.length) return false;
  return prefix.every((byte, i) => text[at + i] === byte);
}

/** Offset of the line after the one `at` lies in; text.length at the end. */
function nextLine(text: Uint8Array, at: number): number {
  const end = text.indexOf(LINE_FEED, at);
  return end < 0 ? text.length : end + 1;
}

function positionOf(text: Uint8Array, at: number, source: KeySource): SourcePosition {
  let line = source.firstLine;
  let lineStart = 0;
  for (let next = nextLine(text, 0); next <= at && next > lineStart; next = nextLine(text, next)) {
    if (text[next - 1] !== LINE_FEED) break;
    lineStart = next;
    line += 1;
  }
  return { file: source.file, line, column: at - lineStart + 1 };
}

/** Offset of the first byte after the BEGIN line, or -1. The line counts only when it starts at column 1. */
function findData(text: Uint8Array): number {
  for (let line = 0; line < text.length; line = nextLine(text, line)) {
    if (startsWith(text, line, BEGIN)) return nextLine(text, line);
  }
  return -1;
}

function missingHeader(text: Uint8Array, source: KeySource): OperatorError {
  const elsewhere = Buffer.from(text.buffer, text.byteOffset, text.length).indexOf(BEGIN);
  if (elsewhere >= 0) {
    return keyError(
      'KEY_NO_HEADER',
      'the BEGIN line of the static key does not start at the first column',
      'OpenVPN recognises the line only without anything in front of it',
      'remove what stands before -----BEGIN OpenVPN Static key V1-----',
      positionOf(text, elsewhere, source),
    );
  }
  const what = text.length === 0 ? 'the static key is empty' : 'this is not an OpenVPN static key';
  const why = 'the line -----BEGIN OpenVPN Static key V1----- is missing';
  return keyError('KEY_NO_HEADER', what, why, NEW_KEY, positionOf(text, 0, source));
}

function badCharacter(text: Uint8Array, at: number, found: number, source: KeySource): OperatorError {
  const byte = text[at];
  const printable = byte > 0x20 && byte < 0x7f;
  const shown = printable ? `'${String.fromCharCode(byte)}'` : `0x${byte.toString(16).padStart(2, '0')}`;
  return keyError(
    'KEY_BAD_CHARACTER',
    `character ${shown} in the static key`,
    `the key is written in hexadecimal digits; ${found} of its ${STATIC_KEY_SIZE} bytes were read so far`,
    `copy the file again from the other end, or ${NEW_KEY}`,
    positionOf(text, at, source),
  );
}

/**
 * Reads hex pairs from `start` into `key` until a line starts with `-`, and returns that line's offset
 * (text.length when none does). Digits pair across blanks and lines; after 256 bytes everything else is ignored.
 */
function readData(
  text: Uint8Array,
  start: number,
  key: Uint8Array,
  source: KeySource,
): { end: number; found: number } {
  let found = 0;
  let high = -1;
  for (let at = start; at < text.length; at++) {
    const byte = text[at];
    if (byte === DASH && text[at - 1] === LINE_FEED) return { end: at, found };
    if (found === STATIC_KEY_SIZE || isBlank(byte)) continue;
    const digit = hexValue(byte);
    if (digit < 0) throw badCharacter(text, at, found, source);
    if (high < 0) {
      high = digit;
    } else {
      key[found++] = (high << 4) | digit;
      high = -1;
    }
  }
  return { end: text.length, found };
}

function hasFooter(text: Uint8Array, from: number): boolean {
  for (let line = from; line < text.length; line = nextLine(text, line)) {
    if (startsWith(text, line, END)) return true;
  }
  return false;
}

/**
 * Reads a static key text, accepting exactly what stock 2.6 accepts. Returns 256 bytes that belong to the caller.
 * Throws OperatorError (exit code 3) with the position of the fault.
 */
export function parseStaticKey(text: Uint8Array, source: KeySource): Uint8Array {
  const start = findData(text);
  if (start < 0) throw missingHeader(text, source);
  const key = new Uint8Array(STATIC_KEY_SIZE);
  try {
    const { end, found } = readData(text, start, key, source);
    const where = positionOf(text, end, source);
    if (found < STATIC_KEY_SIZE) {
      throw keyError(
        'KEY_TOO_SHORT',
        `the static key has ${found} bytes instead of ${STATIC_KEY_SIZE}`,
        'the file was cut off or edited',
        `copy the file again from the other end, or ${NEW_KEY}`,
        where,
      );
    }
    if (!hasFooter(text, end)) {
      throw keyError(
        'KEY_NO_FOOTER',
        'the static key has no END line',
        'OpenVPN expects the line -----END OpenVPN Static key V1----- at the first column after the key',
        'add that line, or copy the file again from the other end',
        where,
      );
    }
    return key;
  } catch (error) {
    key.fill(0);
    throw error;
  }
}

const HEX_DIGITS = Buffer.from('0123456789abcdef', 'latin1');
const BYTES_PER_LINE = 16;

/** The key file stock's `--genkey` writes: 636 bytes. The buffer belongs to the caller. */
export function formatStaticKey(key: Uint8Array): Buffer {
  const head = Buffer.concat([
    Buffer.from('#\n# 2048 bit OpenVPN static key\n#\n'),
    BEGIN,
    Buffer.from('\n'),
  ]);
  const body = Buffer.alloc(STATIC_KEY_SIZE * 2 + STATIC_KEY_SIZE / BYTES_PER_LINE);
  let at = 0;
  for (let i = 0; i < STATIC_KEY_SIZE; i++) {
    body[at++] = HEX_DIGITS[key[i] >> 4];
    body[at++] = HEX_DIGITS[key[i] & 15];
    if (i % BYTES_PER_LINE === BYTES_PER_LINE - 1) body[at++] = LINE_FEED;
  }
  const text = Buffer.concat([head, body, END, Buffer.from('\n')]);
  body.fill(0);
  return text;
}

/** 256 fresh random bytes, which belong to the caller. */
export function generateStaticKey(): Uint8Array {
  return randomFillSync(new Uint8Array(STATIC_KEY_SIZE));
}

function keysAt(key: Uint8Array, index: 0 | 1, suite: Suite): DirectionKeys {
  const cipher = index * KEY_SIZE;
  const hmac = cipher + HMAC_SLOT;
  return {
    cipher: key.slice(cipher, cipher + suite.cipher.keySize),
    hmac: key.slice(hmac, hmac + suite.digest.size),
  };
}

/**
 * The keys of both directions, as copies that belong to the caller. Without a direction both use key 0; side 0 seals
 * with key 0 and opens with key 1, side 1 the other way round.
 */
export function deriveKeys(
  key: Uint8Array,
  direction: KeyDirection,
  suite: Suite,
): { seal: DirectionKeys; open: DirectionKeys } {
  const sealIndex = direction === 1 ? 1 : 0;
  const openIndex = direction === 0 ? 1 : 0;
  return { seal: keysAt(key, sealIndex, suite), open: keysAt(key, openIndex, suite) };
}

/** Overwrites keys that are no longer needed. */
export function wipeKeys({ cipher, hmac }: DirectionKeys): void {
  cipher.fill(0);
  hmac.fill(0);
}

/**
 * Refuses a key whose used cipher bytes are all zero, in either half, as stock does even for the half the direction
 * leaves unused. Throws OperatorError (exit code 3).
 */
export function checkKeyStrength(key: Uint8Array, cipher: CipherSpec, where: SourcePosition): void {
  if (cipher.keySize === 0) return;
  for (let index = 0; index < 2; index++) {
    let bits = 0;
    for (let i = 0; i < cipher.keySize; i++) bits |= key[index * KEY_SIZE + i];
    if (bits !== 0) continue;
    const why = `all ${cipher.keySize} bytes that ${cipher.name} takes from it are zero; OpenVPN refuses such a key`;
    throw keyError('KEY_ZERO', `cipher key ${index + 1} of 2 in the static key is zero`, why, NEW_KEY, where);
  }
}

/** First 8 hex digits of the key's SHA-256: lets people compare two ends' keys without showing them. */
export function keyFingerprint(key: Uint8Array): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8);
}
