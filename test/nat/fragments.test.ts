import { describe, expect, test } from 'vitest';
import { FragmentTable, HELD, NO_ZONE, REFUSED } from '../../src/nat/fragments.ts';
import { createView } from '../../src/nat/packet-view.ts';
import { HeapArena } from '../../src/packet/arena.ts';
import { Batch } from '../../src/packet/batch.ts';
import { DropReason, PASS } from '../../src/packet/verdict.ts';
import { ZONE_TUN } from '../../src/packet/zone.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { fragments, tcp, udp, type Ends, type IpShape } from '../support/ip-packets.ts';
import { seeded } from '../support/random.ts';

const ENDS: Ends = { source: '10.8.0.2', destination: '172.16.0.3' };
const ENDS6: Ends = { source: 'fd00::2', destination: 'fd01::3' };
const DATA = Buffer.alloc(92, 0x61);
const UDP = udp({ sourcePort: 40000, destinationPort: 53, data: DATA });

const LIFETIME = 30_000;
const HOLD = 2000;
const PEER = 3;
const SESSION = 1234;

const view = createView();
const shape = { slots: 2 };
const batch = new Batch(new HeapArena(Batch.arenaSize(shape)), shape);

/** Three fragments: 0..24, 24..64, 64..100. */
function cut(id: number, ends: IpShape = ENDS): [Buffer, Buffer, Buffer] {
  return fragments(ends, UDP, id, 24, 64) as [Buffer, Buffer, Buffer];
}

function remember(table: FragmentTable, packet: Buffer, now: number, value = SESSION, zone = PEER): number {
  expect(view.read(packet, 0, packet.length)).toBe(PASS);
  return table.remember(packet, view, zone, value, now);
}

function find(table: FragmentTable, packet: Buffer, now: number, zone = PEER): number {
  expect(view.read(packet, 0, packet.length)).toBe(PASS);
  return table.find(packet, view, zone, now);
}

/** All that may go on, with zones. */
function released(table: FragmentTable): [number, Buffer][] {
  const all: [number, Buffer][] = [];
  for (let zone = table.release(batch, 1); zone !== NO_ZONE; zone = table.release(batch, 1)) {
    all.push([zone, Buffer.from(batch.bytes.slice(batch.start[1], batch.start[1] + batch.length[1]))]);
  }
  return all;
}

/** One fragment at `offset` of a packet, with its first 8 bytes at the front. */
function piece(id: number, offset: number, length: number, more: boolean): Buffer {
  const data = Buffer.alloc(Math.max(0, offset + length - 8));
  const all = fragments(
    ENDS,
    udp({ sourcePort: 1, destinationPort: 2, data }),
    id,
    offset === 0 ? length : offset,
  );
  const packet = offset === 0 ? all[0] : all[1];
  packet.writeUInt16BE((offset / 8) | (more ? 0x2000 : 0), 6);
  return packet;
}

describe('later fragments', () => {
  test.each<[string, Ends]>([
    ['IPv4', ENDS],
    ['IPv6', ENDS6],
  ])('find what the first has left: %s', (_, ends) => {
    const table = new FragmentTable(LIFETIME);
    const [first, second, third] = cut(7, ends);
    expect(remember(table, first, 0)).toBe(PASS);
    expect(find(table, second, 1)).toBe(SESSION);
    expect(find(table, third, 2)).toBe(SESSION);
  });

  test('in any order behind the first', () => {
    const table = new FragmentTable(LIFETIME);
    const [first, second, third] = cut(7);
    remember(table, first, 0);
    expect(find(table, third, 1)).toBe(SESSION);
    expect(find(table, second, 2)).toBe(SESSION);
  });

  test('in reverse order are held, and go on unchanged when the first has come', () => {
    const table = new FragmentTable(LIFETIME);
    const [first, second, third] = cut(7);
    expect(find(table, third, 0)).toBe(HELD);
    expect(find(table, second, 1)).toBe(HELD);
    expect(released(table)).toEqual([]);
    expect(remember(table, first, 2)).toBe(PASS);
    expect(released(table)).toEqual([
      [PEER, third],
      [PEER, second],
    ]);
    expect(find(table, third, 3)).toBe(SESSION);
    expect(find(table, second, 3)).toBe(SESSION);
    expect(table.expire(LIFETIME)).toBe(0);
  });

  test.each<[string, IpShape, number, number]>([
    ['another identification', ENDS, 8, PEER],
    ['another zone', ENDS, 7, ZONE_TUN],
    ['another source', { ...ENDS, source: '10.8.0.3' }, 7, PEER],
    ['another destination', { ...ENDS, destination: '172.16.0.4' }, 7, PEER],
  ])('with %s do not', (_, ends, id, zone) => {
    const table = new FragmentTable(LIFETIME);
    remember(table, cut(7)[0], 0);
    expect(find(table, cut(id, ends)[1], 1, zone)).toBe(HELD);
  });

  test('of another protocol do not', () => {
    const table = new FragmentTable(LIFETIME);
    remember(table, cut(7)[0], 0);
    const other = fragments(ENDS, tcp({ sourcePort: 40000, destinationPort: 53, data: DATA }), 7, 24, 64)[1];
    expect(find(table, other, 1)).toBe(HELD);
  });

  test('are refused when the first was, and those that wait are dropped', () => {
    const table = new FragmentTable(LIFETIME);
    const [first, second, third] = cut(7);
    find(table, third, 0);
    expect(remember(table, first, 1, REFUSED)).toBe(PASS);
    expect(find(table, second, 2)).toBe(REFUSED);
    expect(released(table)).toEqual([]);
    expect(table.expire(3)).toBe(1);
  });
});

describe('time', () => {
  test('a fragment waits 2 s for the first, and is counted when it is dropped', () => {
    const table = new FragmentTable(LIFETIME);
    const [first, second] = cut(7);
    find(table, second, 1000);
    expect(table.expire(1000 + HOLD - 1)).toBe(0);
    expect(table.expire(1000 + HOLD)).toBe(1);
    expect(table.expire(1000 + HOLD)).toBe(0);
    remember(table, first, 1000 + HOLD);
    expect(released(table)).toEqual([]);
  });

  test('also without a call of expire in between', () => {
    const table = new FragmentTable(LIFETIME);
    const [first, second] = cut(7);
    find(table, second, 0);
    remember(table, first, HOLD);
    expect(released(table)).toEqual([]);
    expect(table.expire(HOLD)).toBe(1);
  });

  test('a context lives as long as it was told', () => {
    const table = new FragmentTable(LIFETIME);
    const [first, second, third] = cut(7);
    remember(table, first, 0);
    expect(find(table, second, LIFETIME - 1)).toBe(SESSION);
    expect(find(table, third, LIFETIME)).toBe(HELD);
  });

  test('a context ends when its packet is complete: the identification may come again', () => {
    const table = new FragmentTable(LIFETIME);
    for (const value of [1, 2]) {
      const [first, second, third] = cut(7);
      expect(remember(table, first, value, value)).toBe(PASS);
      expect(find(table, second, value)).toBe(value);
      expect(find(table, third, value)).toBe(value);
    }
  });

  test('an incomplete one gives way to a new packet of the same identification after 2 s, not before', () => {
    const table = new FragmentTable(LIFETIME);
    const [first, second] = cut(7);
    remember(table, first, 0, 1);
    expect(remember(table, first, HOLD - 1, 2)).toBe(DropReason.NatFragment);
    expect(find(table, second, HOLD - 1)).toBe(1);
    expect(remember(table, first, HOLD, 2)).toBe(PASS);
    expect(find(table, second, HOLD)).toBe(2);
  });
});

describe('refuses', () => {
  test('a fragment that overlaps another, and all that follows', () => {
    const table = new FragmentTable(LIFETIME);
    remember(table, piece(7, 0, 24, true), 0);
    expect(find(table, piece(7, 16, 16, true), 1)).toBe(REFUSED);
    expect(find(table, piece(7, 24, 16, true), 2)).toBe(REFUSED);
    expect(remember(table, piece(7, 0, 24, true), 3)).toBe(DropReason.NatFragment);
  });

  test('held fragments that overlap, when they come back', () => {
    const table = new FragmentTable(LIFETIME);
    const [one, two] = [piece(7, 24, 24, true), piece(7, 40, 24, true)];
    expect(find(table, one, 0)).toBe(HELD);
    expect(find(table, two, 0)).toBe(HELD);
    remember(table, piece(7, 0, 24, true), 1);
    expect(released(table)).toHaveLength(2);
    expect(find(table, one, 1)).toBe(SESSION);
    expect(find(table, two, 1)).toBe(REFUSED);
  });

  test('a duplicate, and only that', () => {
    const table = new FragmentTable(LIFETIME);
    const [first, second, third] = cut(7);
    remember(table, first, 0);
    expect(find(table, second, 1)).toBe(SESSION);
    expect(find(table, second, 2)).toBe(REFUSED);
    expect(find(table, third, 3)).toBe(SESSION);
  });

  test.each<[string, Buffer]>([
    ['that ends the packet before another', piece(7, 24, 8, false)],
    ['behind the end', piece(7, 80, 8, true)],
    ['that ends the packet elsewhere', piece(7, 72, 8, false)],
  ])('a fragment %s', (_, contradicting) => {
    const table = new FragmentTable(LIFETIME);
    remember(table, piece(7, 0, 24, true), 0);
    expect(find(table, piece(7, 40, 16, false), 1)).toBe(SESSION);
    expect(find(table, contradicting, 2)).toBe(REFUSED);
    expect(find(table, piece(7, 32, 8, true), 3)).toBe(REFUSED);
  });

  test.each<[string, Buffer]>([
    ['one at offset 8, where a transport header would be', piece(7, 8, 16, true)],
    ['one that is not the last and no multiple of 8 bytes long', piece(7, 24, 9, true)],
    ['one that ends behind 65535 bytes', piece(7, 65528, 16, false)],
  ])('a tiny or impossible fragment: %s', (_, packet) => {
    const table = new FragmentTable(LIFETIME);
    remember(table, piece(7, 0, 8, true), 0);
    expect(find(table, packet, 1)).toBe(REFUSED);
  });

  test('a first fragment that is no multiple of 8 bytes long', () => {
    const table = new FragmentTable(LIFETIME);
    expect(remember(table, piece(7, 0, 25, true), 0)).toBe(DropReason.NatFragment);
  });
});

/** A lone later fragment of `length` bytes in all. */
function tail(id: number, length = 100, source = ENDS.source): Buffer {
  return fragments(
    { ...ENDS, source },
    udp({ sourcePort: 1, destinationPort: 2, data: Buffer.alloc(length - 20 + 16) }),
    id,
    24,
  )[1];
}

describe('bounds', () => {
  test('64 contexts of one zone: the oldest gives way', () => {
    const table = new FragmentTable(LIFETIME);
    for (let id = 0; id < 65; id++) expect(find(table, tail(id), id)).toBe(HELD);
    expect(table.expire(65)).toBe(1);
    remember(table, cut(0)[0], 66);
    expect(released(table)).toHaveLength(0);
    remember(table, cut(64)[0], 67);
    expect(released(table)).toHaveLength(1);
  });

  test('a zone that fills its own share costs another nothing', () => {
    const table = new FragmentTable(LIFETIME);
    const [first, second] = cut(7);
    find(table, second, 0, 1);
    for (let id = 0; id < 5000; id++) find(table, tail(id, 1500), 1, 2);
    remember(table, first, 2, SESSION, 1);
    expect(released(table)).toEqual([[1, second]]);
  });

  test('256 KiB of one zone: the oldest give way', () => {
    const table = new FragmentTable(LIFETIME);
    for (let id = 0; id < 60; id++) find(table, tail(id, 8192), 0);
    expect(table.expire(1)).toBe(60 - 32);
    remember(table, cut(60 - 33)[0], 1);
    expect(released(table)).toHaveLength(0);
    remember(table, cut(60 - 32)[0], 1);
    expect(released(table)).toHaveLength(1);
  });

  test('1 MiB of all zones: the oldest give way', () => {
    const table = new FragmentTable(LIFETIME);
    for (let zone = 0; zone < 5; zone++) {
      for (let id = 0; id < 32; id++) find(table, tail(id, 8192), zone, zone);
    }
    expect(table.expire(5)).toBe(32);
    remember(table, cut(31)[0], 5, SESSION, 0);
    expect(released(table)).toHaveLength(0);
    remember(table, cut(0)[0], 5, SESSION, 1);
    expect(released(table)).toHaveLength(1);
  });

  test('what does not fit the batch it is released into is dropped', () => {
    const table = new FragmentTable(LIFETIME);
    find(table, tail(7, 1500), 0);
    remember(table, cut(7)[0], 1);
    const small = { slots: 1, capacity: 1400 };
    expect(table.release(new Batch(new HeapArena(Batch.arenaSize(small)), small), 0)).toBe(NO_ZONE);
    expect(table.expire(1)).toBe(1);
  });

  test('512 contexts of all zones: the oldest gives way', () => {
    const table = new FragmentTable(LIFETIME);
    for (let zone = 0; zone < 9; zone++) {
      for (let id = 0; id < 64; id++) remember(table, cut(id)[0], zone, id, zone);
    }
    expect(find(table, cut(63)[1], 10, 8)).toBe(63);
    expect(find(table, cut(0)[1], 10, 1)).toBe(0);
    expect(find(table, cut(0)[1], 10, 0)).toBe(HELD);
  });
});

test('holds and releases every byte, whatever the order and the sizes', () => {
  const random = seeded(5);
  const table = new FragmentTable(LIFETIME);
  let now = 0;
  for (let round = 0; round < 300; round++) {
    const data = Buffer.from(
      Array.from({ length: 400 + Math.floor(random() * 3000) }, () => Math.floor(random() * 256)),
    );
    const cuts = Array.from({ length: Math.floor((data.length + 8) / 400) }, (_, i) => 400 * (i + 1));
    const zone = Math.floor(random() * 5) - 1;
    const [first, ...later] = fragments(
      ENDS,
      udp({ sourcePort: 1, destinationPort: 2, data }),
      round,
      ...cuts,
    );
    const shuffled = later
      .map((packet) => ({ packet, key: random() }))
      .sort((a, b) => a.key - b.key)
      .map(({ packet }) => packet);
    for (const packet of shuffled) expect(find(table, packet, now, zone)).toBe(HELD);
    // Some packets stay without their first fragment, so that the ring is not empty in between.
    if (random() < 0.3) continue;
    expect(remember(table, first, now, round, zone)).toBe(PASS);
    const back = released(table);
    expect(back).toEqual(shuffled.map((packet) => [zone, packet]));
    for (const [, packet] of back) expect(find(table, packet, now, zone)).toBe(round);
    now += 100;
  }
});

test('allocates nothing per fragment', () => {
  const table = new FragmentTable(LIFETIME);
  const [first, second, third] = cut(7);
  const bytes = bytesPerCall(() => {
    view.read(third, 0, third.length);
    table.find(third, view, PEER, 5);
    view.read(first, 0, first.length);
    table.remember(first, view, PEER, SESSION, 5);
    table.release(batch, 1);
    view.read(third, 0, third.length);
    table.find(third, view, PEER, 5);
    view.read(second, 0, second.length);
    table.find(second, view, PEER, 5);
    table.expire(5);
  }, 2000);
  expect(bytes).toBeLessThan(1);
});
