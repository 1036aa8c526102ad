import { describe, expect, it } from 'vitest';
import { Counter } from '../../src/engine/counters.ts';
import { DropReason } from '../../src/packet/verdict.ts';
import { Hub, type HubPeer } from '../support/hub.ts';
import { markOf, OWN_ROUTES, packet } from '../support/hub-packets.ts';

const HOST = '172.16.0.9';
/** IPv4 and UDP. */
const OUTER_HEADERS = 28;

/** Lets the worker's loop run for `ms`, asleep until the engine's next timer. Returns how often it slept. */
function live(hub: Hub, ms: number): number {
  const end = hub.clock.ms + ms;
  for (let sleeps = 0; ; sleeps++) {
    hub.work();
    const next = hub.clock.ms + Math.max(1, Math.ceil(hub.engine.nextTimeoutMs()));
    hub.clock.ms = Math.min(end, next);
    if (hub.clock.ms === end) return sleeps;
  }
}

function outerBytes({ counters }: HubPeer): number {
  return counters.get(Counter.UdpWriteBytes) + OUTER_HEADERS * counters.get(Counter.UdpWritePackets);
}

function offer(hub: Hub, count: number, destination: string, size: number): void {
  for (let mark = 0; mark < count; mark++) hub.toSend.push(packet(HOST, destination, { mark, length: size }));
}

describe('the only peer of a gateway', () => {
  it.each([
    { rate: 100, seconds: 200, size: 60 },
    { rate: 20_000, seconds: 20, size: 100 },
    { rate: 200_000, seconds: 10, size: 1400 },
    { rate: 1_000_000, seconds: 2, size: 1400 },
  ])('gets $rate bytes a second, in order, and nothing is lost', ({ rate, seconds, size }) => {
    const hub = new Hub();
    const a = hub.add('a', { shaperBytesPerSec: rate });
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a']);
    offer(hub, Math.ceil((2 * rate * seconds) / size), '10.1.0.5', size);
    live(hub, seconds * 1000);
    const wanted = rate * seconds;
    // 10 ms and one datagram ahead at most; never behind by more than what one sleep lasts.
    expect(outerBytes(a)).toBeGreaterThan(wanted * 0.98 - 2 * size);
    expect(outerBytes(a)).toBeLessThan(wanted * 1.02 + 2 * (size + 100));
    expect(hub.engine.blocked).toBe(true);
    expect(hub.allDrops()).toEqual([]);
    const marks = a.spoke.delivered.map(markOf);
    expect(marks).toEqual(marks.map((_, i) => i));
  });

  it('leaves the TUN device alone while it is over its rate, and sleeps', () => {
    const hub = new Hub();
    const a = hub.add('a', { shaperBytesPerSec: 10_000 });
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a']);
    offer(hub, 1000, '10.1.0.5', 200);
    hub.work();
    const left = hub.toSend.length;
    expect(left).toBeGreaterThan(800);
    expect(live(hub, 100)).toBeLessThan(20);
    expect(hub.toSend).toHaveLength(left);
    expect(a.spoke.delivered.length).toBeLessThan(10);
  });

  it('is heard all the same', () => {
    const hub = new Hub();
    const a = hub.add('a', { shaperBytesPerSec: 100 });
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a']);
    offer(hub, 100, '10.1.0.5', 200);
    hub.work();
    a.spoke.send(packet('10.1.0.5', HOST, { mark: 7 }));
    hub.work();
    expect(hub.delivered.map(markOf)).toEqual([7]);
  });

  it('restarts while packets wait for its rate', () => {
    const hub = new Hub();
    const a = hub.add('a', { shaperBytesPerSec: 1000 });
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a']);
    offer(hub, 20, '10.1.0.5', 200);
    hub.work();
    expect(hub.engine.blocked).toBe(true);
    hub.engine.peering.restart(a.index, 'sigusr1');
    hub.work();
    expect(hub.engine.blocked).toBe(false);
    hub.connect(a);
    offer(hub, 1, '10.1.0.5', 200);
    live(hub, 2000);
    expect(a.spoke.delivered.length).toBeGreaterThan(1);
  });

  it('has its pings counted', () => {
    const silent = new Hub();
    const a = silent.add('a', { shaperBytesPerSec: 200, pingSec: 1 });
    silent.route([...OWN_ROUTES, '10.1.0.0/16 a']);
    live(silent, 20_000);
    const pings = outerBytes(a);
    expect(pings).toBeGreaterThan(1000);
    offer(silent, 100, '10.1.0.5', 100);
    live(silent, 20_000);
    expect(outerBytes(a) - pings).toBeLessThan(200 * 20 * 1.1);
  });
});

describe('with several peers', () => {
  it.each([10_000, 100_000])('what is over the rate of one is dropped, others have theirs: %i', (rate) => {
    const hub = new Hub();
    const [slow, fast] = [hub.add('slow', { shaperBytesPerSec: rate }), hub.add('fast')];
    hub.route([...OWN_ROUTES, '10.1.0.0/16 slow', '10.2.0.0/16 fast']);
    const seconds = 20;
    let offered = 0;
    for (let step = 0; step < seconds * 10; step++) {
      // Three times the rate, to each.
      const count = Math.ceil((0.3 * rate) / 1000);
      offer(hub, count, '10.1.0.5', 900);
      offer(hub, count, '10.2.0.5', 900);
      offered += count;
      live(hub, 100);
    }
    expect(fast.spoke.delivered).toHaveLength(offered);
    expect(slow.spoke.delivered.length + hub.drops(DropReason.Shaped, slow)).toBe(offered);
    expect(hub.allDrops().map(([name, reason]) => [name, reason])).toEqual([['slow', DropReason.Shaped]]);
    const burst = Math.max(rate / 4, 16 * 1024) + 1100;
    expect(outerBytes(slow)).toBeLessThan(rate * seconds + burst);
    expect(outerBytes(slow)).toBeGreaterThan(rate * seconds * 0.97);
  });

  it('one on a socket that it shares is limited alone', () => {
    const hub = new Hub();
    const shared = hub.sharedLink();
    const slow = hub.add('slow', { shaperBytesPerSec: 10_000, shared });
    const fast = hub.add('fast', { shared });
    hub.route([...OWN_ROUTES, '10.1.0.0/16 slow', '10.2.0.0/16 fast']);
    for (let i = 0; i < 100; i++) {
      offer(hub, 1, '10.1.0.5', 900);
      offer(hub, 1, '10.2.0.5', 900);
    }
    hub.work();
    expect(fast.spoke.delivered).toHaveLength(100);
    expect(hub.drops(DropReason.Shaped, slow)).toBeGreaterThan(70);
    expect(hub.engine.blocked).toBe(false);
  });

  it('a packet from peer to peer is not waited for either', () => {
    const hub = new Hub();
    const [slow, fast] = [hub.add('slow', { shaperBytesPerSec: 10_000 }), hub.add('fast')];
    hub.route([...OWN_ROUTES, '10.1.0.0/16 slow', '10.2.0.0/16 fast']);
    for (let mark = 0; mark < 100; mark++)
      fast.spoke.send(packet('10.2.0.5', '10.1.0.5', { mark, length: 900 }));
    hub.work();
    expect(slow.spoke.delivered.length + hub.drops(DropReason.Shaped, slow)).toBe(100);
    expect(hub.drops(DropReason.Shaped, slow)).toBeGreaterThan(70);
  });
});
