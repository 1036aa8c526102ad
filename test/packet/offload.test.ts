/** Segmentation and coalescing against a slow twin, and against each other. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeapArena } from '../../src/packet/arena.ts';
import { Batch, NO_SLOT } from '../../src/packet/batch.ts';
import { arenaSum, onesComplementSum } from '../../src/packet/checksum.ts';
import { Coalescer } from '../../src/packet/coalesce.ts';
import { segment, segmentCount, segmentLength } from '../../src/packet/segment.ts';
import { CONSUMED, PASS } from '../../src/packet/verdict.ts';
import {
  buildTcp,
  buildUdp,
  FLAG,
  slowDatagrams,
  slowSegments,
  slowSum,
  type TcpFields,
} from '../oracles/slow-offload.ts';

const IN = { slots: 64 };
const OUT = { slots: 1200, capacity: 2048 };
const arena = new HeapArena(Batch.arenaSize(IN) + Batch.arenaSize(OUT) + 64);
const input = new Batch(arena, IN);
const output = new Batch(arena, OUT);

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const uint = (max: number) => fc.integer({ min: 0, max });

const tcp = (version: 4 | 6): fc.Arbitrary<TcpFields> =>
  fc.record({
    version: fc.constant(version),
    source: bytes(version === 4 ? 4 : 16),
    destination: bytes(version === 4 ? 4 : 16),
    trafficClass: uint(255),
    hopLimit: uint(255),
    identification: uint(65535),
    dontFragment: fc.boolean(),
    sourcePort: uint(65535),
    destinationPort: uint(65535),
    sequence: uint(2 ** 32 - 1),
    acknowledgement: uint(2 ** 32 - 1),
    flags: fc.constantFrom(
      FLAG.ack,
      FLAG.ack | FLAG.psh,
      FLAG.ack | FLAG.fin,
      FLAG.ack | FLAG.cwr | FLAG.psh,
    ),
    window: uint(65535),
    options: fc.constantFrom(0, 4, 12, 40).chain(bytes),
    payload: fc
      .integer({ min: 1, max: 5000 })
      .map((n) => Uint8Array.from({ length: n }, (_, i) => (i * 31 + n) & 255)),
  });

const anyTcp = fc.oneof(tcp(4), tcp(6));

function put(batch: Batch, packet: Uint8Array): number {
  const slot = batch.count++;
  batch.bytes.set(packet, batch.packetOffset(slot));
  batch.commit(slot, packet.length);
  return slot;
}

function take(batch: Batch, slot: number): Uint8Array {
  return batch.bytes.slice(batch.start[slot], batch.start[slot] + batch.length[slot]);
}

describe('the checksum of arena memory', () => {
  it('equals that of plain bytes, at every alignment', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), uint(64), (data, offset) => {
        arena.bytes.set(data, offset);
        expect(arenaSum(arena, offset, data.length)).toBe(slowSum(data));
        expect(onesComplementSum(arena.bytes, offset, data.length)).toBe(slowSum(data));
      }),
    );
  });

  it('does not overflow on the largest packet of all ones', () => {
    arena.bytes.fill(0xff, 0, 65535);
    expect(arenaSum(arena, 0, 65532)).toBe(0xffff);
    arena.bytes.fill(0, 0, 65535);
  });
});

describe('segmentation', () => {
  it('cuts a TCP super-packet into the packets of the slow twin', () => {
    fc.assert(
      fc.property(anyTcp, fc.integer({ min: 1, max: 1448 }), (fields, wanted) => {
        const size = Math.max(wanted, Math.ceil(fields.payload.length / 900));
        input.count = 0;
        output.count = 0;
        const slot = put(input, buildTcp(fields));
        input.gsoSize[slot] = size;
        input.transport[slot] = fields.version === 4 ? 20 : 40;
        input.udp[slot] = 0;
        const expected = slowSegments(fields, size);
        expect(segmentCount(input, slot)).toBe(expected.length);
        expect(segment(input, slot, 0, output)).toBe(expected.length);
        expect(output.count).toBe(expected.length);
        for (let i = 0; i < expected.length; i++) expect(take(output, i)).toEqual(expected[i]);
      }),
    );
  });

  it('cuts a UDP super-packet into datagrams with their own lengths and checksums', () => {
    const payload = Uint8Array.from({ length: 2500 }, (_, i) => i);
    const header = [0x45, 0, 0, 0, 0, 9, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    const packet = Uint8Array.from([...header, 0x30, 0x39, 0, 53, 0, 0, 0, 0, ...payload]);
    packet[2] = packet.length >> 8;
    packet[3] = packet.length & 255;
    const headerSum = ~slowSum(packet.subarray(0, 20)) & 0xffff;
    packet[10] = headerSum >> 8;
    packet[11] = headerSum & 255;
    input.count = 0;
    output.count = 0;
    const slot = put(input, packet);
    input.gsoSize[slot] = 1000;
    input.transport[slot] = 20;
    input.udp[slot] = 1;
    segment(input, slot, 0, output);
    expect(Array.from(output.length.subarray(0, output.count))).toEqual([1028, 1028, 528]);
    let at = 0;
    for (let i = 0; i < 3; i++) {
      const datagram = take(output, i);
      const view = new DataView(datagram.buffer);
      expect(slowSum(datagram.subarray(0, 20))).toBe(0xffff);
      expect([view.getUint16(2), view.getUint16(4), view.getUint16(24)]).toEqual([
        datagram.length,
        9 + i,
        datagram.length - 20,
      ]);
      const pseudo = [
        ...datagram.subarray(12, 20),
        0,
        17,
        (datagram.length - 20) >> 8,
        (datagram.length - 20) & 255,
      ];
      expect(slowSum(Uint8Array.from([...pseudo, ...datagram.subarray(20)]))).toBe(0xffff);
      expect(datagram.subarray(28)).toEqual(payload.subarray(at, at + datagram.length - 28));
      at += datagram.length - 28;
    }
  });

  it('goes on where it stopped when the batch was full', () => {
    const small = new Batch(new HeapArena(Batch.arenaSize({ slots: 7, capacity: 2048 }) + 1_000_000), {
      slots: 7,
      capacity: 2048,
    });
    fc.assert(
      fc.property(anyTcp, fc.integer({ min: 1, max: 400 }), (fields, wanted) => {
        const size = Math.max(wanted, Math.ceil(fields.payload.length / 60));
        const packet = buildTcp(fields);
        const from = new Batch(small.arena, { slots: 1, buffers: 0 });
        from.count = 1;
        from.commitAt(0, small.arena.bytes.length - 70_000, packet.length);
        from.bytes.set(packet, from.start[0]);
        from.gsoSize[0] = size;
        from.transport[0] = fields.version === 4 ? 20 : 40;
        const segments: Uint8Array[] = [];
        const total = segmentCount(from, 0);
        for (let next = 0; next < total;) {
          small.count = 0;
          const before = next;
          next = segment(from, 0, next, small);
          expect(next).toBe(Math.min(total, before + 7));
          for (let i = 0; i < small.count; i++) segments.push(take(small, i));
        }
        expect(segments).toEqual(slowSegments(fields, size));
      }),
      { numRuns: 50 },
    );
  });

  it('knows segments longer than the buffers they go to', () => {
    input.count = 0;
    const fields = { ...fc.sample(tcp(4), 1)[0], options: new Uint8Array(0), payload: new Uint8Array(5000) };
    const slot = put(input, buildTcp(fields));
    input.gsoSize[slot] = 2500;
    input.transport[slot] = 20;
    input.udp[slot] = 0;
    expect(segmentLength(input, slot)).toBe(2540);
  });
});

describe('coalescing', () => {
  /** What the host would see: super-packets cut again by the slow twin, ordinary packets as they are. */
  function delivered(batch: Batch): Uint8Array[] {
    const packets: Uint8Array[] = [];
    for (let slot = 0; slot < batch.count; slot++) {
      if (batch.verdict[slot] !== PASS) continue;
      if (batch.gsoSize[slot] === 0) packets.push(take(batch, slot));
      else if (batch.udp[slot] === 1) packets.push(...slowDatagrams(parse(batch, slot), batch.gsoSize[slot]));
      else packets.push(...slowSegments(parse(batch, slot), batch.gsoSize[slot]));
    }
    return packets;
  }

  /** Fields of a coalesced super-packet; its checksum must be the pseudo-header's sum, for the kernel to complete. */
  function parse(batch: Batch, slot: number): TcpFields {
    const pieces: Uint8Array[] = [];
    for (let piece = slot; piece !== NO_SLOT; piece = batch.next[piece]) pieces.push(take(batch, piece));
    const packet = Uint8Array.from(pieces.flatMap((piece) => [...piece]));
    const view = new DataView(packet.buffer);
    const version = packet[0] >> 4 === 4 ? 4 : 6;
    const ip = version === 4 ? 20 : 40;
    const udp = batch.udp[slot] === 1;
    const end = udp ? ip + 8 : ip + (packet[ip + 12] >> 4) * 4;
    expect(version === 4 ? view.getUint16(2) : view.getUint16(4) + 40).toBe(packet.length);
    if (version === 4) expect(slowSum(packet.subarray(0, 20))).toBe(0xffff);
    const addresses = packet.subarray(version === 4 ? 12 : 8, ip);
    const length = packet.length - ip;
    const protocol = udp ? 17 : 6;
    const partial = slowSum(Uint8Array.from([...addresses, 0, protocol, length >> 8, length & 255]));
    expect(view.getUint16(ip + (udp ? 6 : 16))).toBe(partial);
    if (udp) expect(view.getUint16(ip + 4)).toBe(length);
    return {
      version,
      source: addresses.subarray(0, addresses.length / 2),
      destination: addresses.subarray(addresses.length / 2),
      trafficClass: version === 4 ? packet[1] : ((packet[0] & 15) << 4) | (packet[1] >> 4),
      hopLimit: packet[version === 4 ? 8 : 7],
      identification: version === 4 ? view.getUint16(4) : 0,
      dontFragment: version === 4 && (packet[6] & 0x40) !== 0,
      sourcePort: view.getUint16(ip),
      destinationPort: view.getUint16(ip + 2),
      sequence: view.getUint32(ip + 4),
      acknowledgement: udp ? 0 : view.getUint32(ip + 8),
      flags: udp ? 0 : packet[ip + 13],
      window: udp ? 0 : view.getUint16(ip + 14),
      options: udp ? new Uint8Array(0) : packet.subarray(ip + 20, end),
      payload: packet.subarray(end),
    };
  }

  function run(packets: readonly Uint8Array[]): Uint8Array[] {
    output.count = 0;
    for (const packet of packets) put(output, packet);
    new Coalescer().coalesce(output, 0, output.count, { tcp: true, udp: true });
    return delivered(output);
  }

  /** RFC 6864 4.1: the identification of a packet that may not be fragmented means nothing. */
  function withoutMeaninglessId(packet: Uint8Array): Uint8Array {
    if (packet[0] >> 4 !== 4 || (packet[6] & 0x40) === 0) return packet;
    return packet.with(4, 0).with(5, 0).with(10, 0).with(11, 0);
  }

  const superPackets = () => {
    let heads = 0;
    for (let slot = 0; slot < output.count; slot++)
      if (output.gsoSize[slot] > 0 && output.verdict[slot] === PASS) heads++;
    return heads;
  };

  const flowKey = (packet: Uint8Array) => {
    const ipv4 = packet[0] >> 4 === 4;
    return Buffer.from(ipv4 ? packet.subarray(12, 24) : packet.subarray(8, 44)).toString('hex');
  };

  it('loses, changes and reorders nothing within a flow, whatever arrives', () => {
    const mutation = fc.record({
      at: uint(40),
      kind: fc.constantFrom('drop', 'swap', 'corrupt', 'duplicate'),
    });
    const stream = fc.record({
      fields: anyTcp,
      size: fc.integer({ min: 100, max: 1400 }),
      udp: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(stream, { minLength: 1, maxLength: 4 }),
        fc.array(mutation, { maxLength: 6 }),
        uint(7),
        (streams, mutations, mix) => {
          const queues = streams.map(({ fields, size, udp }) =>
            (udp ? slowDatagrams : slowSegments)(fields, size),
          );
          const packets: Uint8Array[] = [];
          for (let turn = 0; queues.some((queue) => queue.length > 0); turn++) {
            const queue = queues[turn % queues.length];
            packets.push(...queue.splice(0, 1 + ((turn * 7 + mix) % 9)));
          }
          for (const { at, kind } of mutations) mutate(packets, at % Math.max(1, packets.length), kind);
          const byFlow = (list: readonly Uint8Array[]) => {
            const flows = new Map<string, Uint8Array[]>();
            for (const packet of list)
              flows.set(flowKey(packet), [
                ...(flows.get(flowKey(packet)) ?? []),
                withoutMeaninglessId(packet),
              ]);
            return flows;
          };
          expect(byFlow(run(packets))).toEqual(byFlow(packets));
        },
      ),
      { numRuns: 150 },
    );
  });

  it('merges a whole stream into one super-packet', () => {
    fc.assert(
      fc.property(anyTcp, (fields) => {
        const size = Math.max(200, Math.ceil(fields.payload.length / 40));
        const whole = { ...fields, flags: FLAG.ack | FLAG.psh };
        const packets = slowSegments(whole, size);
        fc.pre(packets.length > 1);
        expect(run(packets)).toEqual(packets);
        expect(superPackets()).toBe(1);
        expect(
          Array.from(output.verdict.subarray(1, packets.length)).every((verdict) => verdict === CONSUMED),
        ).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  const base: TcpFields = {
    ...fc.sample(tcp(4), { numRuns: 1, seed: 7 })[0],
    flags: FLAG.ack,
    payload: new Uint8Array(1000),
  };
  const next = {
    ...base,
    sequence: (base.sequence + 1000) % 2 ** 32,
    identification: (base.identification + 1) % 65536,
  };

  it.each([
    ['another acknowledgement', { acknowledgement: (base.acknowledgement + 1) % 2 ** 32 }],
    ['another window', { window: (base.window + 1) % 65536 }],
    ['another hop limit', { hopLimit: (base.hopLimit + 1) % 256 }],
    ['another traffic class (ECN)', { trafficClass: base.trafficClass ^ 3 }],
    ['a gap', { sequence: (next.sequence + 1) % 2 ** 32 }],
    ['a longer payload', { payload: new Uint8Array(1001) }],
    ['a SYN', { flags: FLAG.ack | FLAG.syn }],
    ['a FIN', { flags: FLAG.ack | FLAG.fin }],
    ['an RST', { flags: FLAG.ack | FLAG.rst }],
    ['ECE', { flags: FLAG.ack | FLAG.ece }],
    ['urgent data', { flags: FLAG.ack | FLAG.urg }],
    ['no data', { payload: new Uint8Array(0) }],
    ['another port', { sourcePort: base.sourcePort ^ 1 }],
    [
      'an identification that jumps, fragmentation allowed',
      { dontFragment: false, identification: (base.identification + 5) % 65536 },
    ],
  ])('does not merge a segment with %s', (_, change) => {
    const packets = [buildTcp(base), buildTcp({ ...next, ...change })];
    expect(run(packets)).toEqual(packets);
    expect(superPackets()).toBe(0);
  });

  it('merges datagrams of equal size into one super-packet, the last may be shorter', () => {
    fc.assert(
      fc.property(anyTcp, (fields) => {
        const size = Math.max(100, Math.ceil(fields.payload.length / 60));
        const packets = slowDatagrams(fields, size);
        fc.pre(packets.length > 1);
        expect(run(packets)).toEqual(packets);
        expect(superPackets()).toBe(1);
      }),
      { numRuns: 50 },
    );
  });

  const datagram = buildUdp(base);
  const withoutChecksum = buildUdp(next).with(26, 0).with(27, 0);
  it.each([
    ['without a checksum', withoutChecksum],
    ['with a wrong checksum', buildUdp(next).with(30, 0x77)],
    ['to another port', buildUdp({ ...next, destinationPort: next.destinationPort ^ 1 })],
    ['longer than the first', buildUdp({ ...next, payload: new Uint8Array(1001) })],
    ['with another traffic class', buildUdp({ ...next, trafficClass: next.trafficClass ^ 1 })],
    ['of TCP', buildTcp(next)],
  ])('does not merge a datagram with one %s', (_, other) => {
    expect(run([datagram, other])).toEqual([datagram, other]);
    expect(superPackets()).toBe(0);
  });

  it('does not hide a wrong checksum by merging', () => {
    const bad = buildTcp(next);
    bad[bad.length - 1] ^= 0x55;
    const packets = [buildTcp(base), bad];
    expect(run(packets)).toEqual(packets);
    expect(superPackets()).toBe(0);
  });

  it('ends a run with PSH, and keeps the flag', () => {
    const third = {
      ...next,
      sequence: (next.sequence + 1000) % 2 ** 32,
      identification: (next.identification + 1) % 65536,
    };
    const packets = [buildTcp(base), buildTcp({ ...next, flags: FLAG.ack | FLAG.psh }), buildTcp(third)];
    expect(run(packets)).toEqual(packets);
    expect(superPackets()).toBe(1);
    expect(output.verdict[2]).toBe(PASS);
  });

  function mutate(packets: Uint8Array[], at: number, kind: string): void {
    if (packets.length === 0) return;
    if (kind === 'drop') packets.splice(at, 1);
    else if (kind === 'duplicate') packets.splice(at, 0, packets[at].slice());
    else if (kind === 'corrupt') packets[at][packets[at].length - 1] ^= 0x10;
    else if (at + 1 < packets.length) packets.splice(at, 2, packets[at + 1], packets[at]);
  }
});
