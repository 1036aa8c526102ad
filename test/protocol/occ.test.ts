import { describe, expect, test } from 'vitest';
import { OccOpcode } from '../../src/protocol/constants.ts';
import {
  isOcc,
  LOAD_REQUEST_SIZE,
  markOccLoad,
  MIN_SIZED_LOAD,
  occOpcode,
  readLoadTotal,
  readOccLoadSize,
  readOccOptions,
  readRequestedTotal,
  writeOcc,
  writeOccLoad,
  writeOccLoadRequest,
  writeOccMtuReply,
  writeOccReply,
} from '../../src/protocol/occ.ts';
import { isPing, writePing } from '../../src/protocol/ping.ts';
import { sessions } from '../support/vectors.ts';

const MAGIC = '287f346bd4ef7a812d56b8d3afc5459c';
const AT = 5;

function hex(bytes: Uint8Array, length: number): string {
  return Buffer.from(bytes.subarray(AT, AT + length)).toString('hex');
}

/** The payloads of stock's messages, without duplicates. */
const payloads = [
  ...new Map(
    sessions.flatMap(({ decoded }) => decoded).map((datagram) => [datagram.inner_hex ?? '', datagram]),
  ).entries(),
].filter(([payload]) => payload !== '');

describe('payloads of stock sessions', () => {
  const kindOf = (payload: Uint8Array): string => {
    if (isPing(payload, 0, payload.length)) return 'openvpn-ping';
    if (isOcc(payload, 0, payload.length)) return `occ-${occOpcode(payload, 0, payload.length)}`;
    return 'tunnel-packet';
  };

  test.each(payloads.map(([payload, { kind }], i) => [i, kind, payload] as const))(
    'payload %i is a %s',
    (_, kind, payload) => {
      expect(kindOf(Buffer.from(payload, 'hex'))).toBe(
        /^(openvpn-ping|occ-\d)/.exec(kind)?.[0] ?? 'tunnel-packet',
      );
    },
  );

  test('replies are read, and written the same', () => {
    const replies = payloads.filter(([, { kind }]) => kind === 'occ-1');
    expect(replies.length).toBeGreaterThan(10);
    for (const [payload, { occ_text: text }] of replies) {
      const bytes = Buffer.from(payload, 'hex');
      const options = readOccOptions(bytes, 0, bytes.length);
      if (text !== undefined) expect(options).toBe(text.replace('\0', ''));
      const written = new Uint8Array(300);
      expect(hex(written, writeOccReply(written, AT, options))).toBe(payload);
    }
  });
});

describe('our extension of loads', () => {
  const room = new Uint8Array(500);

  test('carries the length of an IP packet behind what OpenVPN reads', () => {
    const length = writeOccLoadRequest(room, AT, 320, 1400);
    expect(length).toBe(LOAD_REQUEST_SIZE);
    expect(readOccLoadSize(room, AT, length)).toBe(320);
    expect(readRequestedTotal(room, AT, length)).toBe(1400);
    expect(writeOccLoadRequest(room, AT, 320, 0, 400)).toBe(400);
    expect(readRequestedTotal(room, AT, 400)).toBe(0);
  });

  test('marks loads that were sent so', () => {
    const length = writeOccLoad(room, AT, 100, (bytes, offset, count) =>
      bytes.fill(0xa5, offset, offset + count),
    );
    expect(readLoadTotal(room, AT, length)).toBe(-1);
    markOccLoad(room, AT, 9000);
    expect(readLoadTotal(room, AT, length)).toBe(9000);
    expect(readLoadTotal(room, AT, MIN_SIZED_LOAD - 1)).toBe(-1);
  });

  test('is in no message of stock', () => {
    for (const [payload] of payloads) {
      const bytes = Buffer.from(payload, 'hex');
      expect(readRequestedTotal(bytes, 0, bytes.length)).toBe(-1);
      expect(readLoadTotal(bytes, 0, bytes.length)).toBe(-1);
    }
  });
});

describe('pings', () => {
  test('are 16 bytes, neither more nor fewer', () => {
    const bytes = new Uint8Array(40);
    expect(writePing(bytes, AT)).toBe(16);
    expect([15, 16, 17].map((length) => isPing(bytes, AT, length))).toEqual([false, true, false]);
    bytes[AT + 15] ^= 1;
    expect(isPing(bytes, AT, 16)).toBe(false);
  });
});

describe('OCC messages', () => {
  test.each([
    ['request', OccOpcode.Request, '00'],
    ['exit', OccOpcode.Exit, '06'],
  ] as const)('%s', (_, opcode, last) => {
    const bytes = new Uint8Array(40);
    expect(hex(bytes, writeOcc(bytes, AT, opcode))).toBe(MAGIC + last);
  });

  test('MTU reply', () => {
    const bytes = new Uint8Array(40);
    expect(hex(bytes, writeOccMtuReply(bytes, AT, 1568, 1400))).toBe(`${MAGIC}0506200578`);
  });

  test('MTU load is filled to the size asked for', () => {
    const bytes = new Uint8Array(40);
    const random = (target: Uint8Array, offset: number, length: number): void => {
      target.fill(0x77, offset, offset + length);
    };
    expect(hex(bytes, writeOccLoad(bytes, AT, 20, random))).toBe(`${MAGIC}03777777`);
    expect(writeOccLoad(bytes, AT, 4, random)).toBe(17);
  });

  test.each([
    ['magic alone', MAGIC, -1],
    ['MTU load request cut off', `${MAGIC}0206`, -1],
    ['MTU load request', `${MAGIC}020614`, 1556],
  ])('size asked for: %s', (_, payload, size) => {
    const bytes = Buffer.from(payload, 'hex');
    expect(isOcc(bytes, 0, bytes.length)).toBe(true);
    expect(readOccLoadSize(bytes, 0, bytes.length)).toBe(size);
  });

  test('a payload cut off in the magic is no OCC message', () => {
    expect(isOcc(Buffer.from(MAGIC, 'hex'), 0, 15)).toBe(false);
  });

  test('a message that ends after the magic has no opcode', () => {
    expect(occOpcode(Buffer.from(`${MAGIC}06`, 'hex'), 0, 16)).toBe(-1);
  });

  test('an option string without NUL ends with the message', () => {
    const bytes = Buffer.from(`${MAGIC}01563441`, 'hex');
    expect(readOccOptions(bytes, 0, 19)).toBe('V4');
    expect(readOccOptions(bytes, 0, 17)).toBe('');
  });
});
