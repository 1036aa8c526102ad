/** Ethernet frames: where the IP packet is, and super-packets behind Ethernet headers. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeapArena } from '../../src/packet/arena.ts';
import { Batch, NO_SLOT, NOT_IP } from '../../src/packet/batch.ts';
import { Coalescer } from '../../src/packet/coalesce.ts';
import { ethernetHeaderLength, MAX_ETHERNET_HEADER } from '../../src/packet/ethernet.ts';
import { segment, segmentCount, segmentLength } from '../../src/packet/segment.ts';
import { PASS } from '../../src/packet/verdict.ts';
import { buildTcp, FLAG, slowDatagrams, slowSegments, type TcpFields } from '../oracles/slow-offload.ts';

const MACS = '02005e10000102005e100002';
const HEADERS = {
  untagged: '',
  '802.1Q': '81000064',
  '802.1ad around 802.1Q': '88a8006481000007',
} as const;

const fields = (version: 4 | 6): TcpFields => ({
  version,
  source: new Uint8Array(version === 4 ? 4 : 16).fill(10),
  destination: new Uint8Array(version === 4 ? 4 : 16).fill(11),
  trafficClass: 0,
  hopLimit: 64,
  identification: 7,
  dontFragment: true,
  sourcePort: 1000,
  destinationPort: 2000,
  sequence: 2 ** 32 - 700,
  acknowledgement: 5,
  flags: FLAG.ack | FLAG.psh,
  window: 100,
  options: new Uint8Array(12),
  payload: Uint8Array.from({ length: 3000 }, (_, i) => i * 7),
});

function header(tags: string, version: 4 | 6): Buffer {
  return Buffer.from(`${MACS}${tags}${version === 4 ? '0800' : '86dd'}`, 'hex');
}

const frame = (head: Uint8Array, packet: Uint8Array) => Uint8Array.from([...head, ...packet]);

describe('the IP packet in a frame', () => {
  const ipv4 = buildTcp(fields(4));
  const ipv6 = buildTcp(fields(6));
  const hex = (text: string) => Buffer.from(`${MACS}${text}`, 'hex');
  const rows: readonly [what: string, frame: Uint8Array, length: number][] = [
    ['IPv4', frame(hex('0800'), ipv4), 14],
    ['IPv6', frame(hex('86dd'), ipv6), 14],
    ['IPv4 with padding', frame(hex('0800'), Uint8Array.from([...ipv4, 0, 0])), 14],
    ['IPv4 behind a VLAN tag', frame(hex('810000640800'), ipv4), 18],
    ['IPv6 behind two', frame(hex('88a800648100000786dd'), ipv6), 22],
    ['IPv4 behind three', frame(hex('88a80001810000028100000308004'), ipv4), NOT_IP],
    ['ARP', hex(`0806${'00'.repeat(28)}`), NOT_IP],
    ['a length in place of the EtherType (LLC)', hex(`0026${'42'.repeat(38)}`), NOT_IP],
    ['IPv6 said to be IPv4', frame(hex('0800'), ipv6), NOT_IP],
    ['IPv4 cut short', frame(hex('0800'), ipv4.subarray(0, 30)), NOT_IP],
    ['no payload', hex('0800'), NOT_IP],
    ['a tag and nothing behind it', hex('81000064'), NOT_IP],
    ['half a tag', hex('810000'), NOT_IP],
  ];
  it.each(rows)('%s', (_, bytes, length) => {
    const guarded = new Uint8Array(bytes.length + 64).fill(0x45);
    guarded.set(bytes, 32);
    expect(ethernetHeaderLength(guarded, 32, bytes.length)).toBe(length);
  });

  it('is never found outside of the frame', () => {
    const tag = fc.constantFrom('8100', '88a8', '0800', '86dd', '4500', '6000', '0000');
    fc.assert(
      fc.property(fc.array(tag, { maxLength: 40 }), fc.integer({ min: 14, max: 100 }), (words, length) => {
        const bytes = Buffer.concat([
          Buffer.from(`${MACS}${words.join('')}`, 'hex'),
          Buffer.alloc(100, 0x45),
        ]);
        const found = ethernetHeaderLength(bytes, 0, length);
        if (found !== NOT_IP) expect(found + 20).toBeLessThanOrEqual(length);
      }),
    );
  });
});

describe.each(Object.entries(HEADERS))('super-packets, %s', (_, tags) => {
  const shape = { slots: 64, capacity: 4096 };
  const arena = new HeapArena(2 * Batch.arenaSize(shape));
  const input = new Batch(arena, shape);
  const output = new Batch(arena, shape);

  function put(batch: Batch, bytes: Uint8Array): number {
    const slot = batch.count++;
    batch.bytes.set(bytes, batch.packetOffset(slot));
    batch.commit(slot, bytes.length);
    batch.network[slot] = ethernetHeaderLength(batch.bytes, batch.start[slot], bytes.length);
    return slot;
  }

  const take = (batch: Batch, slot: number) =>
    batch.bytes.slice(batch.start[slot], batch.start[slot] + batch.length[slot]);

  const whole = (batch: Batch, slot: number) => {
    const pieces: number[] = [];
    for (let piece = slot; piece !== NO_SLOT; piece = batch.next[piece]) pieces.push(...take(batch, piece));
    return Uint8Array.from(pieces);
  };

  function coalesced(frames: readonly Uint8Array[]): number[] {
    output.count = 0;
    for (const each of frames) put(output, each);
    new Coalescer().coalesce(output, 0, output.count, { tcp: true, udp: true });
    return [...frames.keys()].filter((slot) => output.verdict[slot] === PASS);
  }

  it.each([4, 6] as const)('are cut into frames, each with the whole header: IPv%i', (version) => {
    const head = header(tags, version);
    input.count = 0;
    output.count = 0;
    const slot = put(input, frame(head, buildTcp(fields(version))));
    input.gsoSize[slot] = 1000;
    input.transport[slot] = head.length + (version === 4 ? 20 : 40);
    const expected = slowSegments(fields(version), 1000).map((packet) => frame(head, packet));
    expect(segmentCount(input, slot)).toBe(3);
    expect(segmentLength(input, slot)).toBe(expected[0].length);
    expect(segment(input, slot, 0, output)).toBe(3);
    expect([0, 1, 2].map((i) => take(output, i))).toEqual(expected);
  });

  it.each([4, 6] as const)('are put together from frames of one flow: IPv%i', (version) => {
    const head = header(tags, version);
    for (const cut of [slowSegments, slowDatagrams]) {
      const frames = cut(fields(version), 1000).map((packet) => frame(head, packet));
      expect(coalesced(frames)).toEqual([0]);
      expect(output.gsoSize[0]).toBe(1000);
      expect(output.transport[0]).toBe(head.length + (version === 4 ? 20 : 40));
      const packet = whole(output, 0);
      expect(packet.subarray(0, head.length)).toEqual(Uint8Array.from(head));
      const view = new DataView(packet.buffer, head.length);
      const total = version === 4 ? view.getUint16(2) : view.getUint16(4) + 40;
      expect(total).toBe(packet.length - head.length);
      expect(packet.subarray(packet.length - 3000)).toEqual(fields(version).payload);
    }
  });

  it('are not put together from frames of different stations or VLANs, nor from padded ones', () => {
    const head = header(tags, 4);
    const [first, second] = slowSegments(fields(4), 1500).map((packet) => frame(head, packet));
    const changed = Array.from({ length: head.length - 2 }, (_unused, at) => second.with(at, second[at] ^ 1));
    const others = changed.filter((each) => ethernetHeaderLength(each, 0, each.length) === head.length);
    expect(others.length).toBeGreaterThanOrEqual(12);
    for (const other of others) expect(coalesced([first, other])).toEqual([0, 1]);
    expect(coalesced([first, Uint8Array.from([...second, 0, 0])])).toEqual([0, 1]);
    expect(coalesced([first, second])).toEqual([0]);
  });
});

it('the longest header has two tags', () => {
  expect(header(HEADERS['802.1ad around 802.1Q'], 4)).toHaveLength(MAX_ETHERNET_HEADER);
});
