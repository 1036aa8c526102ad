/** Lines of a config that change what the data plane does: a pair of engines, one of them with the line. */
import { describe, expect, it } from 'vitest';
import { mssFor, peerSettings } from '../../src/gateway/settings.ts';
import { DropReason } from '../../src/packet/verdict.ts';
import { configOf } from '../support/config.ts';
import { ADDRESS_A, ipv4Packet, Pair } from '../support/pair.ts';

const KEY = Uint8Array.from({ length: 256 }, (_, i) => (i * 7 + 3) & 0xff);

/** End `a` has the lines, end `b` none. */
function pairOf(...lines: readonly string[]): Pair {
  const settings = (own: readonly string[]) => peerSettings(configOf(own), KEY);
  return new Pair({
    cipher: 'AES-256-CBC',
    digest: 'SHA1',
    a: settings(['mtu-probe off', ...lines]),
    b: settings(['mtu-probe off', 'disable-occ']),
  });
}

describe('disable-occ', () => {
  it.each([
    ['asks the peer for its options', [], true],
    ['asks nothing', ['disable-occ'], false],
  ])('%s', (_, lines, asks) => {
    const pair = pairOf(...lines).connect();
    let datagrams = 0;
    pair.wire.eavesdropper = () => datagrams++;
    pair.advance(120_000, 1000);
    expect(datagrams > 0).toBe(asks);
    expect(pair.a.events.some(({ kind }) => kind === 'occ')).toBe(asks);
  });

  it('still answers the peer', () => {
    const pair = new Pair({ a: { occ: false, occOptions: 'V4,a' }, b: { occ: true } }).connect();
    pair.advance(11_000);
    expect(pair.b.events).toContainEqual({ kind: 'occ', peer: 0, options: 'V4,a' });
  });
});

describe('ping-timer-rem', () => {
  it.each([
    ['a listener restarts although nobody has called', [], 'restarting'],
    ['a listener waits for its first caller', ['ping-timer-rem'], 'running'],
  ])('%s', (_, lines, state) => {
    const pair = pairOf('ping-restart 5', ...lines);
    pair.a.connect([]);
    pair.advance(20_000, 1000);
    expect(pair.a.peer.state).toBe(state);
  });

  it('the time runs from the first call on', () => {
    const pair = pairOf('ping-restart 5', 'ping-timer-rem');
    pair.a.connect([]);
    pair.b.connect([ADDRESS_A]);
    pair.b.toSend.push(ipv4Packet(60));
    pair.advance(4000, 1000);
    expect(pair.a.peer.state).toBe('running');
    pair.advance(4000, 1000);
    expect(pair.a.peer.state).toBe('restarting');
  });
});

it.each([
  ['a packet to the peer’s outer address is dropped', [], 1, 0],
  ['and sent with allow-recursive-routing', ['allow-recursive-routing'], 0, 1],
])('%s', (_, lines, dropped, delivered) => {
  const pair = pairOf(...lines).connect();
  pair.a.toSend.push(ipv4Packet(60, 0, [192, 0, 2, 2]));
  pair.settle();
  expect([pair.a.drops(DropReason.Recursive), pair.b.delivered.length]).toEqual([dropped, delivered]);
});

it('max-packet-size lowers the MSS as `mssfix SIZE mtu` does', () => {
  const mss = (...lines: readonly string[]) => mssFor(configOf(lines), 4);
  expect(mss('max-packet-size 1300')).toBe(mss('mssfix 1300 mtu'));
  expect(mss('max-packet-size 1300')).toBeLessThan(mss());
});
