import { describe, expect, test } from 'vitest';
import { createView } from '../../src/nat/packet-view.ts';
import {
  addressChange,
  KEEP_PORT,
  portChange,
  replaceDestination,
  replaceSource,
  rewriteDestination,
  rewriteSource,
} from '../../src/nat/rewrite.ts';
import { formatAddress, parseAddress } from '../../src/packet/address.ts';
import { DropReason, PASS } from '../../src/packet/verdict.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { icmp, ipPacket, tcp, udp, type Ends, type Transport } from '../support/ip-packets.ts';
import { seeded } from '../support/random.ts';

const random = seeded(27);

/** The words at which one's complement arithmetic goes wrong, often. */
function randomWord(): number {
  const choice = random();
  if (choice < 0.1) return 0;
  if (choice < 0.2) return 0xffff;
  if (choice < 0.25) return 1;
  if (choice < 0.3) return 0xfffe;
  return Math.floor(random() * 0x10000);
}

function randomAddress(size: number): string {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i += 2) {
    const word = randomWord();
    bytes[i] = word >>> 8;
    bytes[i + 1] = word & 0xff;
  }
  return formatAddress(bytes);
}

function randomData(): Buffer {
  const words = Math.floor(random() * 4);
  const data = Buffer.alloc(2 * words + (random() < 0.2 ? 1 : 0));
  for (let i = 0; i < words; i++) data.writeUInt16BE(randomWord(), 2 * i);
  return data;
}

type Kind = 'tcp' | 'udp' | 'udp without checksum' | 'icmp';

function transport(
  kind: Kind,
  version: 4 | 6,
  sourcePort: number,
  destinationPort: number,
  data: Buffer,
): Transport {
  switch (kind) {
    case 'tcp':
      return tcp({ sourcePort, destinationPort, data });
    case 'icmp':
      return icmp({ version, type: version === 4 ? 8 : 128, rest: [sourcePort, 7], data });
    default:
      return udp({ sourcePort, destinationPort, data, noChecksum: kind === 'udp without checksum' });
  }
}

const view = createView();

describe('check 27', () => {
  test.each<[Kind, 4 | 6, number]>([
    ['tcp', 4, 30_000],
    ['udp', 4, 30_000],
    ['udp without checksum', 4, 5000],
    ['icmp', 4, 10_000],
    ['tcp', 6, 10_000],
    ['udp', 6, 10_000],
    ['icmp', 6, 5000],
  ])('a rewritten packet equals one built anew: %s over IPv%i', (kind, version, cases) => {
    const size = version === 4 ? 4 : 16;
    for (let i = 0; i < cases; i++) {
      const before: Ends = { source: randomAddress(size), destination: randomAddress(size) };
      const after: Ends = { source: randomAddress(size), destination: randomAddress(size) };
      const [sourcePort, newSource] = [randomWord(), randomWord()];
      const [destinationPort, newDestination] = [randomWord(), kind === 'icmp' ? newSource : randomWord()];
      const data = randomData();
      const packet = ipPacket(before, transport(kind, version, sourcePort, destinationPort, data));
      expect(view.read(packet, 0, packet.length)).toBe(PASS);
      expect(rewriteSource(packet, view, parseAddress(after.source), 0, newSource)).toBe(PASS);
      expect(rewriteDestination(packet, view, parseAddress(after.destination), 0, newDestination)).toBe(PASS);
      const expected = ipPacket(after, transport(kind, version, newSource, newDestination, data));
      if (packet.compare(expected) !== 0) expect(packet.toString('hex')).toBe(expected.toString('hex'));
    }
  });
});
