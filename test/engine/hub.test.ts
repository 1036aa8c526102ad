import { describe, expect, it } from 'vitest';
import { Counter } from '../../src/engine/counters.ts';
import { DropReason } from '../../src/packet/verdict.ts';
import { Hub, type HubPeer, type PeerOptions } from '../support/hub.ts';
import { markOf, OWN_ROUTES, packet, ping, readIcmpError } from '../support/hub-packets.ts';

const HOST = '172.16.0.9';

/** Peers p0, p1... with 10.(i + 1).0.0/16 each. */
function many(hub: Hub, count: number, options: (i: number) => PeerOptions = () => ({})): HubPeer[] {
  const peers = Array.from({ length: count }, (_, i) => hub.add(`p${i}`, options(i)));
  hub.route(routesOf(peers));
  return peers;
}

function routesOf(peers: readonly HubPeer[]): string[] {
  return [...OWN_ROUTES, ...peers.map(({ name }) => `10.${Number(name.slice(1)) + 1}.0.0/16 ${name}`)];
}

const addressOf = ({ name }: HubPeer, host = 5) => `10.${Number(name.slice(1)) + 1}.0.${host}`;

describe('many peers', () => {
  it('each with algorithms of its own talk to the host and to each other', () => {
    const suites: PeerOptions[] = [
      { cipher: 'AES-256-CBC', digest: 'SHA256' },
      { cipher: 'AES-128-CBC', digest: 'SHA1' },
      { cipher: 'AES-192-CBC', digest: 'SHA512' },
      { cipher: 'none', digest: 'SHA256' },
    ];
    const hub = new Hub();
    const peers = many(hub, suites.length, (i) => suites[i]);
    // In turn, so that a run of packets to one peer is a single packet.
    for (const from of peers) {
      for (const to of peers) if (to !== from) from.spoke.send(packet(addressOf(from), addressOf(to)));
      from.spoke.send(packet(addressOf(from), '10.8.0.1'));
      hub.toSend.push(packet(HOST, addressOf(from)));
    }
    hub.settle();
    for (const { spoke } of peers) expect(spoke.delivered).toHaveLength(4);
    expect(hub.delivered).toHaveLength(4);
    expect(hub.allDrops()).toEqual([]);
  });

  it('50 of them, every one to every other, and all to the host', () => {
    const hub = new Hub();
    const shared = hub.sharedLink();
    const peers = many(hub, 50, (i) => (i % 2 === 0 ? { shared } : {}));
    for (const from of peers) {
      for (const to of peers) {
        if (to === from) continue;
        from.spoke.send(packet(addressOf(from), addressOf(to), { mark: from.index * 100 + to.index }));
      }
      from.spoke.send(packet(addressOf(from), '10.8.0.1', { mark: from.index }));
      hub.toSend.push(packet(HOST, addressOf(from), { mark: 9000 }));
    }
    hub.settle();
    for (const { spoke, index } of peers) {
      const senders = peers
        .filter((other) => other.index !== index)
        .map((other) => other.index * 100 + index);
      expect(spoke.delivered.map(markOf).sort((a, b) => a - b)).toEqual([...senders, 9000]);
      expect(spoke.replayed).toBe(0);
    }
    expect(hub.delivered.map(markOf).sort((a, b) => a - b)).toEqual(peers.map(({ index }) => index));
    expect(hub.allDrops()).toEqual([]);
  });

  it('each has counters of its own', () => {
    const hub = new Hub();
    const [a, b] = many(hub, 2);
    a.spoke.send(packet(addressOf(a), addressOf(b), { length: 100 }));
    a.spoke.send(packet(addressOf(a), '10.8.0.1', { length: 200 }));
    hub.toSend.push(packet(HOST, addressOf(b), { length: 300 }));
    hub.settle();
    const inner = ({ counters }: { counters: HubPeer['counters'] }) =>
      [Counter.TunReadPackets, Counter.TunReadBytes, Counter.TunWritePackets, Counter.TunWriteBytes].map(
        (counter) => counters.get(counter),
      );
    expect(inner(a)).toEqual([0, 0, 2, 300]);
    expect(inner(b)).toEqual([2, 400, 0, 0]);
    expect(inner({ counters: hub.device })).toEqual([1, 300, 1, 200]);
    expect(b.counters.get(Counter.UdpWritePackets)).toBe(2);
    expect(a.counters.get(Counter.UdpReadPackets)).toBe(2);
  });
});

describe('peers come and go under traffic', () => {
  it('without a packet lost at the others', () => {
    const hub = new Hub();
    const [steady, other] = many(hub, 2);
    let sent = 0;
    const traffic = () => {
      for (let i = 0; i < 20; i++, sent++) {
        steady.spoke.send(packet(addressOf(steady), addressOf(other), { mark: sent }));
        hub.toSend.push(packet(HOST, addressOf(other), { mark: sent }));
      }
      hub.settle();
      hub.clock.ms += 50;
    };
    for (let round = 0; round < 10; round++) {
      const guest = hub.add(`p${5 + round}`, { exitNotify: round % 3 });
      hub.route(routesOf([steady, other, guest]));
      guest.spoke.send(packet(addressOf(guest), addressOf(other)), packet(addressOf(guest), '10.8.0.1'));
      traffic();
      hub.engine.peering.removePeer(guest.index);
      traffic();
      hub.route(routesOf([steady, other]));
      hub.advance(4000, 500);
      traffic();
      expect(guest.spoke.exits).toBe(round % 3);
      expect(guest.port.closed).toBe(true);
    }
    expect(other.spoke.delivered).toHaveLength(2 * sent + 10);
    expect(hub.delivered).toHaveLength(10);
    expect(hub.eventsOf('removed')).toHaveLength(10);
    expect(hub.allDrops()).toEqual([]);
  });

  it('one that has ended by itself can still be removed, and its number given to another', () => {
    const hub = new Hub();
    const a = hub.add('p0', { pingTimeoutSec: 3, pingTimeoutAction: 'exit' });
    hub.advance(5000, 500);
    expect(hub.eventsOf('exit')).toEqual([{ kind: 'exit', peer: a.index, reason: 'ping-exit' }]);
    hub.engine.peering.removePeer(a.index);
    hub.settle();
    expect(hub.eventsOf('removed')).toEqual([{ kind: 'removed', peer: a.index }]);
    expect(hub.add('p1').index).toBe(a.index);
  });

  it('the end of one is not the end of the others', () => {
    const hub = new Hub();
    const [a, b] = many(hub, 2, (i) => (i === 0 ? { inactiveSec: 5, exitNotify: 1 } : {}));
    hub.advance(7000, 500);
    expect(hub.eventsOf('exit')).toEqual([{ kind: 'exit', peer: a.index, reason: 'inactive' }]);
    expect(a.spoke.exits).toBe(1);
    hub.toSend.push(packet(HOST, addressOf(b)));
    hub.settle();
    expect(b.spoke.delivered).toHaveLength(1);
    expect(hub.engine.state).toBe('running');
  });

  it('what a peer sends after it was removed is nobody’s', () => {
    const hub = new Hub();
    const [a] = many(hub, 2);
    hub.engine.peering.removePeer(a.index);
    hub.settle();
    a.spoke.send(packet(addressOf(a), '10.8.0.1'));
    hub.settle();
    expect(hub.delivered).toEqual([]);
    expect(hub.network.lost).toBe(1);
  });
});

describe('the end of all', () => {
  it('tells every peer as often as it is configured to, at the same time', () => {
    const hub = new Hub();
    const peers = many(hub, 4, (i) => ({ exitNotify: i }));
    hub.settle();
    hub.engine.stop();
    hub.advance(2500);
    expect(hub.engine.state).toBe('exiting');
    hub.advance(1000);
    expect(hub.engine.state).toBe('stopped');
    expect(peers.map(({ spoke }) => spoke.exits)).toEqual([0, 1, 2, 3]);
    expect(peers.every(({ port }) => port.closed)).toBe(true);
    expect(hub.eventsOf('stopped')).toHaveLength(1);
  });

  it.each(['no peer was ever added', 'all peers have ended by themselves'])(
    'comes at once when %s',
    (name) => {
      const hub = new Hub();
      if (name.startsWith('all')) many(hub, 2, () => ({ sessionTimeoutSec: 1 }));
      hub.advance(3000, 500);
      hub.engine.stop();
      hub.work();
      expect(hub.engine.state).toBe('stopped');
    },
  );

  it('closes a shared link once', () => {
    const hub = new Hub();
    const shared = hub.sharedLink();
    many(hub, 3, () => ({ shared }));
    hub.engine.stop();
    hub.work();
    expect(hub.engine.state).toBe('stopped');
    expect(shared.port.closed).toBe(true);
  });
});

describe('two hubs', () => {
  /** Carries what comes out of one end of each cable into the other until all is quiet; returns how many packets. */
  function run(hubs: readonly Hub[], cables: readonly (readonly [HubPeer, HubPeer])[]): number {
    let carried = 0;
    for (;;) {
      for (const hub of hubs) hub.settle();
      let moved = 0;
      for (const [one, other] of cables) {
        const there = one.spoke.delivered.splice(0);
        const back = other.spoke.delivered.splice(0);
        other.spoke.send(...there);
        one.spoke.send(...back);
        moved += there.length + back.length;
      }
      if (moved === 0) return carried;
      carried += moved;
    }
  }

  function pair() {
    const left = new Hub();
    const right = new Hub({ clock: left.clock, settings: { address4: Uint8Array.of(10, 8, 0, 9) } });
    return { left, right, a: left.add('a') };
  }

  it('that have a default route to each other: a packet crosses once, and is the kernel’s', () => {
    const { left, right, a } = pair();
    const cable = [left.add('right'), right.add('left')] as const;
    left.route([...OWN_ROUTES, '10.1.0.0/16 a', '0.0.0.0/0 right']);
    right.route(['10.8.0.9/32 own', '0.0.0.0/0 left']);
    a.spoke.send(ping('10.1.0.5', '10.99.0.1'));
    expect(run([left, right], [cable])).toBe(1);
    expect(right.delivered).toHaveLength(1);
  });

  it('that believe a network to be at each other: a packet is refused, not sent back where it came from', () => {
    const { left, right, a } = pair();
    const cable = [left.add('right'), right.add('left')] as const;
    left.route([...OWN_ROUTES, '10.1.0.0/16 a', '10.99.0.0/16 right', '10.8.0.9/32 right']);
    right.route(['10.8.0.9/32 own', '10.1.0.0/16 left', '10.99.0.0/16 left']);
    a.spoke.send(ping('10.1.0.5', '10.99.0.1'));
    expect(run([left, right], [cable])).toBe(2);
    expect(right.drops(DropReason.Loop, cable[1])).toBe(1);
    expect(a.spoke.delivered.map(readIcmpError)).toMatchObject([{ source: '10.8.0.9', type: 3, code: 0 }]);
  });

  it('joined twice: what goes in circles ends by TTL, with one answer', () => {
    const { left, right, a } = pair();
    const loose = { anySource: true };
    const there = [left.add('there', loose), right.add('in', loose)] as const;
    const back = [left.add('in', loose), right.add('back', loose)] as const;
    left.route([...OWN_ROUTES, '10.1.0.0/16 a', '10.99.0.0/16 there']);
    right.route(['10.8.0.9/32 own', '10.99.0.0/16 back', '10.1.0.0/16 in']);
    a.spoke.send(ping('10.1.0.5', '10.99.0.1'));
    // 63 hops; the last hub is the right or the left one, and its answer has at most one more to go.
    expect(run([left, right], [there, back])).toBe(64);
    expect(a.spoke.delivered.map(readIcmpError)).toMatchObject([
      { type: 11, code: 0, destination: '10.1.0.5' },
    ]);
  });
});
