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
import { onesComplementSum } from '../../src/packet/checksum.ts';
import { DropReason, PASS } from '../../src/packet/verdict.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { fragments, icmp, ipPacket, tcp, udp, type Ends, type Transport } from '../support/ip-packets.ts';
import { seeded } from '../support/random.ts';
import { fill, heapSlot } from '../support/slot.ts';

const random = seeded(27);
const view = createView();

/** Often one of the words at which one's complement arithmetic goes wrong. */
function randomWord(): number {
  const choice = random();
  if (choice < 0.1) return 0;
  if (choice < 0.2) return 0xffff;
  if (choice < 0.25) return 1;
  if (choice < 0.3) return 0xfffe;
  return Math.floor(random() * 0x10000);
}

function randomAddress(size: number): string {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i += 2) bytes.writeUInt16BE(randomWord(), i);
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
  [source, destination]: [number, number],
  data: Buffer,
): Transport {
  if (kind === 'tcp') return tcp({ sourcePort: source, destinationPort: destination, data });
  if (kind === 'icmp') return icmp({ version, type: version === 4 ? 8 : 128, rest: [source, 7], data });
  const noChecksum = kind === 'udp without checksum';
  return udp({ sourcePort: source, destinationPort: destination, data, noChecksum });
}

function rewriteBoth(packet: Buffer, ends: Ends, [source, destination]: [number, number]): void {
  expect(view.read(packet, 0, packet.length)).toBe(PASS);
  expect(rewriteSource(packet, view, parseAddress(ends.source), 0, source)).toBe(PASS);
  expect(rewriteDestination(packet, view, parseAddress(ends.destination), 0, destination)).toBe(PASS);
}

/** In full, of a packet with 20 bytes of IPv4 header and 20 of TCP; the field itself counts as zero. */
function headerChecksum(packet: Buffer): number {
  return ~onesComplementSum(packet, 0, 10, onesComplementSum(packet, 12, 8)) & 0xffff;
}

function transportChecksum(packet: Buffer): number {
  const pseudoHeader = onesComplementSum(packet, 12, 8, 6 + 20);
  return ~onesComplementSum(packet, 20, 16, onesComplementSum(packet, 38, 2, pseudoHeader)) & 0xffff;
}

describe('incremental checksums equal those computed in full', () => {
  test('over a million random headers, boundary words 0x0000 and 0xffff included', () => {
    const packet = Buffer.alloc(40);
    const address = Buffer.alloc(4);
    let different = 0;
    for (let i = 0; i < 1_000_000; i++) {
      for (let at = 12; at < 40; at += 2) packet.writeUInt16BE(randomWord(), at);
      packet.writeUInt32BE(0x4500_0028, 0);
      packet.writeUInt16BE(randomWord(), 4);
      packet.writeUInt16BE(0x4006, 8);
      packet[32] = 0x50;
      packet.writeUInt16BE(headerChecksum(packet), 10);
      packet.writeUInt16BE(transportChecksum(packet), 36);
      address.writeUInt16BE(randomWord(), 0);
      address.writeUInt16BE(randomWord(), 2);
      view.read(packet, 0, 40);
      if (i % 2 === 0) rewriteSource(packet, view, address, 0, randomWord());
      else rewriteDestination(packet, view, address, 0, randomWord());
      if (packet.readUInt16BE(10) !== headerChecksum(packet)) different++;
      if (packet.readUInt16BE(36) !== transportChecksum(packet)) different++;
    }
    expect(different).toBe(0);
  });

  test.each<[Kind, 4 | 6, number]>([
    ['tcp', 4, 20_000],
    ['udp', 4, 20_000],
    ['udp without checksum', 4, 2000],
    ['icmp', 4, 10_000],
    ['tcp', 6, 10_000],
    ['udp', 6, 10_000],
    ['icmp', 6, 5000],
  ])('in whole packets: %s over IPv%i', (kind, version, cases) => {
    const ends = (): Ends => ({
      source: randomAddress(version === 4 ? 4 : 16),
      destination: randomAddress(version === 4 ? 4 : 16),
    });
    for (let i = 0; i < cases; i++) {
      const [before, after] = [ends(), ends()];
      const data = randomData();
      const source = randomWord();
      const ports: [number, number] = [source, kind === 'icmp' ? source : randomWord()];
      const packet = ipPacket(before, transport(kind, version, [randomWord(), randomWord()], data));
      rewriteBoth(packet, after, ports);
      const expected = ipPacket(after, transport(kind, version, ports, data));
      if (packet.compare(expected) !== 0) expect(packet.toString('hex')).toBe(expected.toString('hex'));
    }
  });

  test('a UDP checksum that becomes 0 is sent as all ones', () => {
    const ends = { source: '10.0.0.1', destination: '10.0.0.2' };
    let hits = 0;
    for (let port = 0; port < 0x10000; port++) {
      const packet = ipPacket(ends, udp({ sourcePort: 0, destinationPort: 9 }));
      view.read(packet, 0, packet.length);
      rewriteSource(packet, view, parseAddress('10.0.0.1'), 0, port);
      expect(packet.readUInt16BE(26)).not.toBe(0);
      if (packet.readUInt16BE(26) !== 0xffff) continue;
      hits++;
      expect(packet).toEqual(ipPacket(ends, udp({ sourcePort: port, destinationPort: 9 })));
    }
    expect(hits).toBe(1);
  });
});

const BEFORE: Ends = { source: '10.8.0.2', destination: '172.16.0.3' };
const AFTER: Ends = { source: '172.16.0.2', destination: '172.16.0.99' };
const BEFORE6: Ends = { source: 'fd00::2', destination: 'fd01::3' };
const AFTER6: Ends = { source: 'fd01::2', destination: 'fd01::99' };
const DATA = Buffer.from('0123456789abcdef0123456789abcdef');

describe('rewriting', () => {
  test('finds the ports behind IPv4 options', () => {
    const options = Buffer.from([7, 7, 4, 1, 2, 3, 4, 0]);
    const packet = ipPacket({ ...BEFORE, options }, tcp({ sourcePort: 1, destinationPort: 2, data: DATA }));
    rewriteBoth(packet, AFTER, [3, 4]);
    expect(packet).toEqual(
      ipPacket({ ...AFTER, options }, tcp({ sourcePort: 3, destinationPort: 4, data: DATA })),
    );
  });

  test('finds the ports behind IPv6 extension headers', () => {
    const options = Buffer.from([0, 0, 1, 4, 0, 0, 0, 0]);
    const shape = { options, extension: 0 };
    const packet = ipPacket({ ...BEFORE6, ...shape }, udp({ sourcePort: 1, destinationPort: 2, data: DATA }));
    rewriteBoth(packet, AFTER6, [3, 4]);
    const expected = ipPacket(
      { ...AFTER6, ...shape },
      udp({ sourcePort: 3, destinationPort: 4, data: DATA }),
    );
    expect(packet).toEqual(expected);
  });

  test.each<[string, Ends, Ends]>([
    ['IPv4', BEFORE, AFTER],
    ['IPv6', BEFORE6, AFTER6],
  ])('of %s fragments: ports and transport checksum in the first, addresses in all', (_, before, after) => {
    const cut = fragments(before, udp({ sourcePort: 1, destinationPort: 2, data: DATA }), 77, 16, 32);
    const expected = fragments(after, udp({ sourcePort: 3, destinationPort: 4, data: DATA }), 77, 16, 32);
    cut.forEach((packet) => rewriteBoth(packet, after, [3, 4]));
    expect(cut).toEqual(expected);
  });

  test('keeps ports that are to be kept', () => {
    const packet = ipPacket(BEFORE, tcp({ sourcePort: 1, destinationPort: 2 }));
    rewriteBoth(packet, AFTER, [KEEP_PORT, KEEP_PORT]);
    expect(packet).toEqual(ipPacket(AFTER, tcp({ sourcePort: 1, destinationPort: 2 })));
  });

  test('of a protocol without ports: addresses only', () => {
    const esp: Transport = { protocol: 50, bytes: Buffer.from(DATA), checksum: undefined };
    const packet = ipPacket(BEFORE, esp);
    rewriteBoth(packet, AFTER, [3, 4]);
    expect(packet).toEqual(ipPacket(AFTER, esp));
  });

  test('of an ICMPv6 message that is neither query nor error: the pseudo-header counts', () => {
    const message = icmp({ version: 6, type: 144, data: DATA });
    const packet = ipPacket(BEFORE6, message);
    rewriteBoth(packet, AFTER6, [3, 4]);
    expect(packet).toEqual(ipPacket(AFTER6, message));
  });

  test('leaves the transport checksum of a super-packet alone, and replaces its ports', () => {
    const packet = ipPacket(BEFORE, tcp({ sourcePort: 1, destinationPort: 2, data: DATA }));
    const batch = heapSlot();
    fill(batch, packet);
    batch.gsoSize[0] = 16;
    const start = batch.start[0];
    expect(view.readSlot(batch, 0)).toBe(PASS);
    rewriteSource(batch.bytes, view, parseAddress(AFTER.source), 0, 3);
    rewriteDestination(batch.bytes, view, parseAddress(AFTER.destination), 0, 4);
    const expected = ipPacket(AFTER, tcp({ sourcePort: 3, destinationPort: 4, data: DATA }));
    expected.writeUInt16BE(packet.readUInt16BE(36), 36);
    expect(Buffer.from(batch.bytes.slice(start, start + packet.length))).toEqual(expected);
  });

  test('refuses UDP over IPv6 without checksum, and changes nothing', () => {
    const packet = ipPacket(BEFORE6, udp({ sourcePort: 1, destinationPort: 2, noChecksum: true }));
    const copy = Buffer.from(packet);
    expect(view.read(packet, 0, packet.length)).toBe(PASS);
    expect(rewriteSource(packet, view, parseAddress(AFTER6.source), 0, 3)).toBe(DropReason.NatHeader);
    expect(rewriteDestination(packet, view, parseAddress(AFTER6.source), 0, 3)).toBe(DropReason.NatHeader);
    expect(packet).toEqual(copy);
  });

  test('with changes computed before gives the same', () => {
    const packet = ipPacket(BEFORE, udp({ sourcePort: 1, destinationPort: 2, data: DATA }));
    const [source, destination] = [parseAddress(AFTER.source), parseAddress(AFTER.destination)];
    const ofSource = addressChange(packet, 12, source, 0, 4);
    const ofDestination = addressChange(packet, 16, destination, 0, 4);
    view.read(packet, 0, packet.length);
    replaceSource(packet, view, source, 0, 3, ofSource, portChange(1, 3));
    replaceDestination(packet, view, destination, 0, 4, ofDestination, portChange(2, 4));
    expect(packet).toEqual(ipPacket(AFTER, udp({ sourcePort: 3, destinationPort: 4, data: DATA })));
  });

  test.each<[string, Buffer, Uint8Array]>([
    [
      'TCP over IPv4',
      ipPacket(BEFORE, tcp({ sourcePort: 1, destinationPort: 2 })),
      parseAddress(AFTER.source),
    ],
    [
      'UDP over IPv6',
      ipPacket(BEFORE6, udp({ sourcePort: 1, destinationPort: 2 })),
      parseAddress(AFTER6.source),
    ],
  ])('allocates nothing: %s', (_, packet, address) => {
    let port = 0;
    const bytes = bytesPerCall(() => {
      port = (port + 1) & 0xffff;
      view.read(packet, 0, packet.length);
      rewriteSource(packet, view, address, 0, port);
      rewriteDestination(packet, view, address, 0, KEEP_PORT);
    });
    expect(bytes).toBeLessThan(1);
  });
});
