/** `dev tap`: Ethernet frames from end to end, over an in-memory wire. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DropReason } from '../../src/packet/verdict.ts';
import { mssOf, syn } from '../support/hub-packets.ts';
import { ADDRESS_B, Pair, type PairOptions, type Side } from '../support/pair.ts';
import { tcpSum } from '../support/packets.ts';

const STATIONS = '02005e10000102005e100002';
const TUN_MTU = 1500;
const NO_REPLAY = { enabled: false, window: 0, timeSec: 0 };

const hex = (text: string, payload: Uint8Array = new Uint8Array(0)) =>
  Uint8Array.from([...Buffer.from(text, 'hex'), ...payload]);

const ofType = (type: string, payload: Uint8Array) => hex(`${STATIONS}${type}`, payload);

function tapPair(options: PairOptions = {}): Pair {
  const both = { tunMtu: TUN_MTU };
  return new Pair({
    ...options,
    deviceType: 'tap',
    a: { ...both, ...options.a },
    b: { ...both, ...options.b },
  });
}

function send(pair: Pair, from: Side, to: Side, frames: readonly Uint8Array[]): Uint8Array[] {
  from.toSend.push(...frames);
  pair.settle();
  return to.delivered.splice(0);
}

/** Whatever is in them. */
const FRAMES: readonly [what: string, frame: Uint8Array][] = [
  ['a broadcast ARP request', hex(`ffffffffffff02005e1000020806${'00'.repeat(28)}`, new Uint8Array(18))],
  ['a spanning tree BPDU', hex(`0180c200000002005e1000020026424203${'00'.repeat(43)}`)],
  ['a header and nothing else', ofType('88b5', new Uint8Array(0))],
  ['IPv4 from a martian with a TTL of 0', ofType('0800', syn('127.0.0.1', '240.0.0.1', 536).fill(0, 8, 9))],
  [
    'an IPv6 router advertisement',
    ofType('86dd', hex(`6000000000083aff${'fe80'.padEnd(32, '0')}${'ff02'.padEnd(32, '0')}8600000000000000`)),
  ],
  ['a destination that looks like IPv4', hex('4500005400004000ff01b6c7c0a80001c0a80002', new Uint8Array(64))],
  ['a frame of the MTU', ofType('88b5', new Uint8Array(TUN_MTU).fill(3))],
  ['a frame of the MTU with two VLAN tags', ofType('88a800018100000288b5', new Uint8Array(TUN_MTU).fill(3))],
];

describe('every frame crosses as it is', () => {
  const rows: readonly [how: string, options: PairOptions][] = [
    ['by default', {}],
    ['with compress stub', { a: { framing: 'stub' }, b: { framing: 'stub' } }],
    ['with comp-lzo no', { a: { framing: 'lzo-stub' }, b: { framing: 'lzo-stub' } }],
    ['with compress stub-v2', { a: { framing: 'stub-v2' }, b: { framing: 'stub-v2' } }],
    ['with fragment', { a: { maxFragment: 400 }, b: { maxFragment: 400 } }],
    ['with no-replay', { a: { replay: NO_REPLAY }, b: { replay: NO_REPLAY } }],
    ['with passtos', { a: { passTos: true } }],
    ['with mssfix', {}],
  ];
  it.each(rows)('%s', (how, options) => {
    const pair = tapPair(options).connect();
    if (how === 'with mssfix') {
      pair.a.connect([ADDRESS_B], 1327);
      pair.settle();
    }
    const frames = FRAMES.map(([, frame]) => frame);
    expect(send(pair, pair.a, pair.b, frames)).toEqual(frames);
    expect(send(pair, pair.b, pair.a, frames)).toEqual(frames);
  });
});

it('whatever a frame holds, it arrives in full length, and only a SYN is another', () => {
  const pair = tapPair().connect();
  pair.a.connect([ADDRESS_B], 1327);
  const type = fc.constantFrom('0800', '86dd', '0806', '8100', '88a8', '0026');
  const ipHeader = fc.constantFrom('45', '46', '4f', '60', '00');
  fc.assert(
    fc.property(
      fc.array(type, { minLength: 1, maxLength: 4 }),
      ipHeader,
      fc.uint8Array({ maxLength: 1400 }),
      (types, first, rest) => {
        const sent = hex(`${STATIONS}${types.join('0064')}${first}`, rest);
        const [there] = send(pair, pair.a, pair.b, [sent]);
        const [back] = send(pair, pair.b, pair.a, [there]);
        expect(there).toHaveLength(sent.length);
        expect(back).toEqual(there);
        // Random bytes are no SYN whose lengths and options fit, but by a miracle.
        expect(there).toEqual(sent);
      },
    ),
  );
});

describe('the MSS of a SYN is lowered', () => {
  const rows: readonly [where: string, tags: string, ipv6: boolean][] = [
    ['in an IPv4 packet', '', false],
    ['in an IPv6 packet', '', true],
    ['behind a VLAN tag', '81000064', false],
    ['behind two', '88a8006481000007', true],
  ];
  for (const [where, tags, ipv6] of rows) {
    it(`${where}, in both directions`, () => {
      const pair = tapPair().connect();
      pair.a.connect([ADDRESS_B], 1327);
      const packet = ipv6 ? syn('fd00::1', 'fd00::2', 1440) : syn('10.0.0.1', '10.0.0.2', 1460);
      const head = tags.length / 2 + 14;
      for (const [from, to] of [
        [pair.a, pair.b],
        [pair.b, pair.a],
      ] as const) {
        const [got] = send(pair, from, to, [ofType(`${tags}${ipv6 ? '86dd' : '0800'}`, packet)]);
        expect(mssOf(got.subarray(head))).toBe(ipv6 ? 1307 : 1327);
        expect(tcpSum(got.subarray(head))).toBe(0xffff);
      }
    });
  }

  it('also when the frame is padded to the length of the shortest', () => {
    const pair = tapPair().connect();
    pair.a.connect([ADDRESS_B], 1327);
    const padded = ofType('0800', Uint8Array.from([...syn('10.0.0.1', '10.0.0.2', 1460), 0, 0]));
    expect(padded).toHaveLength(60);
    const [got] = send(pair, pair.a, pair.b, [padded]);
    expect([got.length, mssOf(got.subarray(14))]).toEqual([60, 1327]);
  });

  it('not behind three tags, as nobody does', () => {
    const pair = tapPair().connect();
    pair.a.connect([ADDRESS_B], 1327);
    const sent = ofType('8100000181000002810000030800', syn('10.0.0.1', '10.0.0.2', 1460));
    expect(send(pair, pair.a, pair.b, [sent])).toEqual([sent]);
  });
});

describe('is dropped and counted', () => {
  it('a frame shorter than its header, from the kernel and from the peer', () => {
    const pair = tapPair().connect();
    expect(send(pair, pair.a, pair.b, [new Uint8Array(13).fill(1)])).toEqual([]);
    expect(pair.a.drops(DropReason.EthernetHeader)).toBe(1);
    // An end with packet ids takes the first eight bytes of a frame for one.
    const mismatch = tapPair({ a: { replay: NO_REPLAY } }).connect();
    expect(send(mismatch, mismatch.a, mismatch.b, [ofType('88b5', new Uint8Array(0))])).toEqual([]);
    expect(mismatch.b.drops(DropReason.EthernetHeader)).toBe(1);
  });

  it('a frame longer than the MTU and two VLAN tags', () => {
    const pair = tapPair().connect();
    const frame = (length: number) => ofType('88b5', new Uint8Array(length - 14).fill(9));
    expect(send(pair, pair.a, pair.b, [frame(TUN_MTU + 22), frame(TUN_MTU + 23)])).toHaveLength(1);
    expect(pair.a.drops(DropReason.TooBig)).toBe(1);
  });

  it('a frame while no peer is known', () => {
    const pair = tapPair();
    pair.a.connect([]);
    expect(send(pair, pair.a, pair.b, [FRAMES[0][1]])).toEqual([]);
    expect(pair.a.drops(DropReason.NoPeer)).toBe(1);
  });

  it.each([
    ['', 1, 0],
    ['behind a VLAN tag', 1, 0],
    ['with allow-recursive-routing', 0, 1],
  ])('a packet to the peer’s own outer address %s', (how, dropped, delivered) => {
    const pair = tapPair({ a: { allowRecursiveRouting: how.startsWith('with') } }).connect();
    const type = how.startsWith('behind') ? '810000640800' : '0800';
    const got = send(pair, pair.a, pair.b, [ofType(type, syn('10.0.0.1', '192.0.2.2', 536))]);
    expect([pair.a.drops(DropReason.Recursive), got.length]).toEqual([dropped, delivered]);
  });
});

it('a peer with a larger MTU may send longer frames', () => {
  const pair = tapPair({ a: { tunMtu: 9000 }, rowSize: 16384 }).connect();
  const jumbo = ofType('88b5', new Uint8Array(9000).fill(7));
  expect(send(pair, pair.a, pair.b, [jumbo])).toEqual([jumbo]);
});
