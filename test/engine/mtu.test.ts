/** The path MTU between two engines: measured over a wire that carries no more, gone by, forgotten and found again. */
import { describe, expect, test } from 'vitest';
import type { PathMtuChange, PeerSettings } from '../../src/engine/messages.ts';
import type { PathMeasurement } from '../../src/engine/mtu-probe.ts';
import { AGEING_MS } from '../../src/engine/path-mtu.ts';
import { DropReason } from '../../src/packet/verdict.ts';
import type { WireMtu } from '../../src/udp/memory.ts';
import { ADDRESS_A, ADDRESS_B, ipv4Packet, Pair, type PairOptions, type Side } from '../support/pair.ts';

const LIMIT_MS = 5000;
/** Stock's clamp for its defaults and a remote over IPv4. */
const DEFAULT_MSS = 1359;
/** AES-256-CBC and SHA256 over a path of 1400 bytes. */
const INNER_1400 = 1303;
const DONT_FRAGMENT = 0x40;

const both = (mtu: number, device = 9216): WireMtu => ({ device, fromA: mtu, fromB: mtu });

function connected(mtu: WireMtu, options: PairOptions = {}, setting: Partial<PeerSettings> = {}): Pair {
  const a: Partial<PeerSettings> = { mtuProbe: 'start', tunMtu: 1500, ...setting };
  const pair = new Pair({ a, b: { tunMtu: 1500 }, mtu, rowSize: 9216, ...options });
  pair.a.connect([ADDRESS_B], DEFAULT_MSS);
  pair.b.connect([ADDRESS_A], DEFAULT_MSS);
  return pair;
}

/** The peer is heard, and what follows has had its time. */
function measured(mtu: WireMtu, options?: PairOptions, setting?: Partial<PeerSettings>): Pair {
  const pair = connected(mtu, options, setting);
  pair.b.toSend.push(ipv4Packet(100));
  pair.advance(LIMIT_MS + 1000, 2);
  return pair;
}

/** What a command asks for. */
function measure(pair: Pair): PathMeasurement | undefined {
  let result: PathMeasurement | undefined;
  let answered = false;
  pair.a.engine.query({ kind: 'mtu', peer: 0 }, (answer) => {
    result = answer as PathMeasurement | undefined;
    answered = true;
  });
  pair.advance(LIMIT_MS, 2);
  expect(answered).toBe(true);
  return result;
}

function changes({ events }: Side): PathMtuChange[] {
  return events.flatMap((event) => (event.kind === 'path-mtu' ? [event.change] : []));
}

function deliveredLengths(pair: Pair): number[] {
  pair.b.delivered.length = 0;
  pair.settle();
  return pair.b.delivered.map(({ length }) => length);
}

describe('when the peer is first heard', () => {
  test.each([1280, 1400, 1460, 1492, 1500])('a path of %i bytes behind wider devices is found', (mtu) => {
    const { a } = measured(both(mtu));
    expect(changes(a)).toHaveLength(1);
    expect(changes(a)[0]).toMatchObject({ why: 'measured', toPeer: mtu, fromPeer: mtu });
  });

  test('a path that carries what the config assumes changes nothing', () => {
    expect(changes(measured(both(1500, 1500)).a)).toEqual([]);
  });

  test('a path as wide as our own device, but too narrow for what the config assumes, does', () => {
    expect(changes(measured(both(1400, 1400)).a)[0]).toMatchObject({ toPeer: 1400, inner: INNER_1400 });
  });

  test('so does one that loses fragments, when packets inside may be longer than it carries', () => {
    const { a } = measured({ ...both(1500, 1500), dropsFragments: true });
    expect(changes(a)[0]).toMatchObject({ toPeer: 1500, inner: 1415, mss: DEFAULT_MSS });
  });

  test('the narrower direction decides about the MSS, the way to the peer about the rest', () => {
    const { a } = measured({ device: 1500, fromA: 1500, fromB: 1400 });
    expect(changes(a)[0]).toMatchObject({ toPeer: 1500, fromPeer: 1400, inner: 1500, mss: INNER_1400 - 40 });
  });

  test('nothing is sent with mtu-probe off', () => {
    const pair = connected(both(1400), {}, { mtuProbe: 'off' });
    pair.b.toSend.push(ipv4Packet(100));
    let datagrams = 0;
    pair.wire.eavesdropper = () => datagrams++;
    pair.advance(LIMIT_MS, 50);
    expect(datagrams).toBe(1);
  });

  test('it costs some dozen packets', () => {
    let datagrams = 0;
    const pair = connected(both(1400));
    pair.wire.eavesdropper = () => datagrams++;
    pair.b.toSend.push(ipv4Packet(100));
    pair.advance(LIMIT_MS, 2);
    expect(datagrams).toBeLessThan(150);
  });
});

describe('a peer that falls silent while it is measured', () => {
  /** Nothing arrives while `silent`. */
  const SILENT = { loss: 1, duplicate: 0, reorder: 0, reorderDistance: 0 };
  const AWAKE = { ...SILENT, loss: 0 };

  test('leaves what the config assumes', () => {
    const pair = connected(both(1400), { faults: AWAKE });
    pair.b.toSend.push(ipv4Packet(100));
    pair.advance(1030, 2);
    expect(pair.a.peer.mtuProbe).toBeDefined();
    pair.wire.faults = SILENT;
    pair.advance(LIMIT_MS, 2);
    expect(pair.a.peer.mtuProbe).toBeUndefined();
    expect(changes(pair.a)).toEqual([]);
  });

  test('leaves what was measured before', () => {
    const pair = measured(both(1400), { faults: AWAKE }, { mtuProbe: { everySec: 30 } });
    expect(changes(pair.a)).toHaveLength(1);
    pair.advance(25_000);
    while (pair.a.peer.mtuProbe === undefined) pair.advance(2, 2);
    pair.advance(20, 2);
    pair.wire.faults = SILENT;
    pair.advance(LIMIT_MS, 2);
    expect(pair.a.peer.mtuProbe).toBeUndefined();
    expect(changes(pair.a)).toHaveLength(1);
  });
});

describe('on request', () => {
  test('the result is exact with losses, duplicates and reordering, in time', () => {
    const faults = { loss: 0.05, duplicate: 0.05, reorder: 0.2, reorderDistance: 5 };
    const pair = connected({ device: 1500, fromA: 1433, fromB: 1333 }, { faults, seed: 3 });
    const found = measure(pair)!;
    expect(found).toMatchObject({
      forward: { passes: 1433, fails: 1434, local: false },
      reverse: { passes: 1333, fails: 1334 },
      fragments: true,
      tsvpn: true,
    });
    expect(found.tookMs).toBeLessThan(LIMIT_MS);
  });

  test('jumbo frames are found', () => {
    expect(measure(connected(both(9000)))).toMatchObject({
      forward: { passes: 9000 },
      reverse: { passes: 9000 },
    });
  });

  test("the end of the search at one's own device is told from one on the path", () => {
    const found = measure(connected(both(1500, 1500)));
    expect(found?.forward).toEqual({ passes: 1500, fails: 1501, local: true, complete: true });
  });

  test('without raw sockets it is known to one block of the cipher', () => {
    const pair = connected(both(1400, 1500));
    pair.wire.exactSizes = false;
    expect(measure(pair)).toMatchObject({
      forward: { passes: 1388, fails: 1404 },
      reverse: { passes: 1388, fails: 1404 },
    });
  });

  test('without raw sockets nothing longer than stock takes is sent', () => {
    const pair = connected(both(9000));
    pair.wire.exactSizes = false;
    expect(measure(pair)?.forward).toEqual({
      passes: 1788,
      fails: undefined,
      local: false,
      complete: true,
    });
  });

  test('a measurement under way is begun again, more thoroughly', () => {
    const pair = connected({ device: 1500, fromA: 1400, fromB: 1500 });
    pair.b.toSend.push(ipv4Packet(100));
    pair.wire.exactSizes = false;
    pair.advance(1050, 2);
    expect(pair.a.peer.mtuProbe?.gentle).toBe(true);
    expect(measure(pair)?.reverse).toMatchObject({ passes: 1500, fails: 1516 });
  });

  test('a peer has its time to answer, however busy the engine is', () => {
    const pair = connected(both(10));
    let answer: PathMeasurement | undefined;
    pair.a.engine.query({ kind: 'mtu', peer: 0 }, (result) => (answer = result as PathMeasurement));
    for (let i = 0; i < 20; i++) pair.a.engine.breathe();
    expect(answer).toBeUndefined();
    pair.wire.mtu = both(1400);
    pair.advance(LIMIT_MS, 2);
    expect(answer).toMatchObject({ forward: { passes: 1400 } });
  });

  test('a peer that is not there does not answer', () => {
    const pair = connected(both(10));
    expect(measure(pair)).toMatchObject({ forward: undefined, reverse: undefined, probes: 6 });
  });

  test('what cannot be probed is said at once', () => {
    const pair = new Pair();
    let answer: unknown = 'none';
    pair.a.engine.query({ kind: 'mtu', peer: 0 }, (result) => (answer = result));
    expect(answer).toBe('unable');
  });

  test('a peer that leaves meanwhile ends it', () => {
    const pair = connected(both(1400));
    let answer: unknown;
    pair.a.engine.query({ kind: 'mtu', peer: 0 }, (result) => (answer = result));
    pair.advance(100, 2);
    pair.a.engine.peering.restart(0, 'control');
    expect(answer).toBe('interrupted');
  });
});

describe('on a narrow path', () => {
  test('packets that may be cut arrive in fragments, others are answered', () => {
    const pair = measured(both(1400));
    pair.a.toSend.push(ipv4Packet(INNER_1400));
    expect(deliveredLengths(pair)).toEqual([INNER_1400]);
    pair.a.toSend.push(ipv4Packet(INNER_1400 + 1));
    expect(deliveredLengths(pair)).toEqual([1300, 24]);
    const unfragmentable = ipv4Packet(1500);
    unfragmentable[6] = DONT_FRAGMENT;
    unfragmentable[10] -= DONT_FRAGMENT;
    const before = pair.a.delivered.length;
    pair.a.toSend.push(unfragmentable);
    expect(deliveredLengths(pair)).toEqual([]);
    expect(pair.a.drops(DropReason.TooBig)).toBe(1);
    // ICMP type, code and next-hop MTU.
    const [error] = pair.a.delivered.slice(before);
    expect([error[20], error[21], (error[26] << 8) | error[27]]).toEqual([3, 4, INNER_1400]);
  });

  test('without a measurement the same packet is lost', () => {
    const pair = measured(both(1400, 1500), {}, { mtuProbe: 'off' });
    pair.a.toSend.push(ipv4Packet(INNER_1400 + 1));
    expect(deliveredLengths(pair)).toEqual([]);
  });

  test('fragments of `fragment` become shorter', () => {
    const maxFragment = 1400;
    const pair = measured(both(1400), { b: { maxFragment, tunMtu: 1500 } }, { maxFragment });
    expect(changes(pair.a)[0]).toMatchObject({ toPeer: 1400, inner: 1500, fragment: 1388 });
    pair.a.toSend.push(ipv4Packet(1500));
    expect(deliveredLengths(pair)).toEqual([1500]);
  });

  test('is measured again after ten minutes, and what was lowered is raised', () => {
    const pair = measured(both(1400, 1500));
    pair.wire.mtu = both(1500, 1500);
    pair.advance(AGEING_MS, 20);
    expect(changes(pair.a).at(-1)).toMatchObject({ toPeer: 1500, inner: 1500, mss: DEFAULT_MSS });
  });

  test('and when packets to the peer go another way', () => {
    const pair = measured(both(1500, 1500));
    pair.wire.mtu = both(1400, 1500);
    pair.a.engine.peering.wayChanged(0);
    pair.advance(LIMIT_MS, 2);
    expect(changes(pair.a)).toMatchObject([{ why: 'measured', toPeer: 1400, inner: INNER_1400 }]);
  });

  test('and once more when that happens during a measurement', () => {
    const pair = measured(both(1400));
    pair.a.engine.peering.wayChanged(0);
    pair.advance(1100, 2);
    pair.wire.mtu = both(1300);
    pair.a.engine.peering.wayChanged(0);
    pair.advance(2 * LIMIT_MS, 2);
    expect(changes(pair.a).at(-1)).toMatchObject({ toPeer: 1300 });
  });

  test('but not with mtu-probe off, nor before the peer is heard', () => {
    const off = measured(both(1400), {}, { mtuProbe: 'off' });
    off.a.engine.peering.wayChanged(0);
    off.advance(LIMIT_MS, 2);
    const unheard = connected(both(1400));
    unheard.a.engine.peering.wayChanged(0);
    unheard.advance(LIMIT_MS, 2);
    expect([changes(off.a), changes(unheard.a)]).toEqual([[], []]);
  });

  test('and every so many seconds when that is configured', () => {
    const pair = measured(both(1500, 1500), {}, { mtuProbe: { everySec: 60 } });
    pair.wire.mtu = both(1400, 1500);
    pair.advance(60_000, 5);
    expect(changes(pair.a).at(-1)).toMatchObject({ toPeer: 1400, inner: INNER_1400 });
  });
});

describe('what a router says', () => {
  /** As the socket's error queue would tell it. */
  function tell(pair: Pair, mtu: number): void {
    pair.a.engine.peering.mtuWatch.told(pair.a.peer, mtu, { ms: pair.clock.ms, sec: 0 });
  }

  test('holds at once, and is forgotten after ten minutes', () => {
    const pair = connected(both(1500, 1500), {}, { mtuProbe: 'off' });
    tell(pair, 1400);
    expect(changes(pair.a)).toMatchObject([{ why: 'told', toPeer: 1400, inner: INNER_1400 }]);
    tell(pair, 1400);
    pair.advance(AGEING_MS + 1000, 1000);
    expect(changes(pair.a)).toHaveLength(2);
    expect(changes(pair.a)[1]).toMatchObject({ why: 'forgotten', toPeer: undefined, inner: 1500 });
  });

  test('is verified, since it may be forged', () => {
    const pair = measured(both(1500, 1500));
    tell(pair, 700);
    expect(changes(pair.a).at(-1)).toMatchObject({ why: 'told', toPeer: 700 });
    pair.advance(70_000, 5);
    expect(changes(pair.a).at(-1)).toMatchObject({ why: 'measured', toPeer: 1500, inner: 1500 });
  });

  test('does not make packets smaller than any path is', () => {
    const pair = connected(both(1500, 1500), {}, { mtuProbe: 'off' });
    tell(pair, 68);
    expect(changes(pair.a)).toMatchObject([{ toPeer: 576 }]);
  });

  test('does not raise what is known', () => {
    const pair = measured(both(1400, 1500));
    tell(pair, 1450);
    expect(changes(pair.a)).toHaveLength(1);
  });
});
