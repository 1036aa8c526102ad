import { describe, expect, it } from 'vitest';
import { echoRequest, parseAnswer } from '../../src/lab/icmp.ts';

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));
}

/** 10.1.1.2 to 10.0.1.2. */
const IP_HEADER = '45000024 00000000 40010000 0a010102 0a000102';
const QUOTED_IP_HEADER = '45000054 00000000 01010000 0a000102 0a010102';

describe('echoRequest', () => {
  it('carries identifier, sequence number and a checksum that makes the sum all ones (RFC 1071)', () => {
    const request = echoRequest(0x1234, 7, 3);
    expect(Buffer.from(request.subarray(0, 2)).toString('hex')).toBe('0800');
    expect(Buffer.from(request.subarray(4)).toString('hex')).toBe('1234000708090a');
    const padded = Buffer.concat([request, Buffer.alloc(1)]);
    let sum = 0;
    for (let i = 0; i < padded.length; i += 2) sum += padded.readUInt16BE(i);
    expect((sum & 0xffff) + (sum >>> 16)).toBe(0xffff);
  });
});

describe('parseAnswer', () => {
  const cases: readonly [rule: string, hex: string, answer: ReturnType<typeof parseAnswer>][] = [
    [
      'reads an echo reply',
      `${IP_HEADER} 0000ffff 12340007`,
      { kind: 'reply', source: '10.1.1.2', ident: 0x1234, sequence: 7 },
    ],
    [
      'reads whose echo request a time exceeded is about',
      `${IP_HEADER} 0b00ffff 00000000 ${QUOTED_IP_HEADER} 0800ffff 12340007`,
      { kind: 'time-exceeded', source: '10.1.1.2', ident: 0x1234, sequence: 7 },
    ],
    [
      'reads whose echo request a destination unreachable is about',
      `${IP_HEADER} 0301ffff 00000000 ${QUOTED_IP_HEADER} 0800ffff 12340007`,
      { kind: 'unreachable', source: '10.1.1.2', ident: 0x1234, sequence: 7 },
    ],
    [
      'skips IP options',
      `46000028 00000000 40010000 0a010102 0a000102 01010101 0000ffff 12340007`,
      { kind: 'reply', source: '10.1.1.2', ident: 0x1234, sequence: 7 },
    ],
    ['ignores an echo request', `${IP_HEADER} 0800ffff 12340007`, undefined],
    [
      'ignores an error about something else',
      `${IP_HEADER} 0b00ffff 00000000 ${QUOTED_IP_HEADER} 0000ffff 12340007`,
      undefined,
    ],
    ['ignores an error that is cut off', `${IP_HEADER} 0b00ffff 00000000 ${QUOTED_IP_HEADER}`, undefined],
    ['ignores a packet that is cut off', `${IP_HEADER} 0000ffff`, undefined],
    ['ignores nothing at all', '', undefined],
  ];
  it.each(cases)('%s', (_rule, hex, answer) => {
    expect(parseAnswer(bytes(hex))).toEqual(answer);
  });
});
