import { describe, expect, it } from 'vitest';
import { Counter } from '../../src/engine/counters.ts';
import { DropReason } from '../../src/packet/verdict.ts';
import { Hub, type HubPeer } from '../support/hub.ts';
import { markOf, OWN_ROUTES, packet, readIcmpError } from '../support/hub-packets.ts';

const HOST = '172.16.0.9';
const KEEPALIVE = { pingSec: 1, pingTimeoutSec: 10 };

/** Sends one packet to the address and says who got it: a peer's name, `host` for the ICMP error, or nobody. */
function probe(hub: Hub, destination: string): string | undefined {
  const before = hub.peers.map(({ spoke }) => spoke.delivered.length);
  const atHost = hub.delivered.length;
  hub.toSend.push(packet(HOST, destination));
  hub.settle();
  if (hub.delivered.length > atHost) return 'host';
  return hub.peers.find(({ spoke }, i) => spoke.delivered.length > before[i])?.name;
}

/** Lets time pass while the peers named are heard once a second; lost ones are connected again, as configured. */
function live(hub: Hub, seconds: number, heard: readonly HubPeer[]): void {
  let seen = hub.events.length;
  for (let i = 0; i < seconds * 10; i++) {
    if (i % 10 === 0) for (const { spoke } of heard) spoke.ping();
    hub.advance(100);
    for (; seen < hub.events.length; seen++) {
      const event = hub.events[seen];
      if (event.kind === 'restarting') hub.connect(hub.peers[event.peer]);
    }
  }
}

describe('backup routes', () => {
  it('take over when the primary’s ping-restart fires, and give back when it is heard again', () => {
    const hub = new Hub();
    const [a, b] = ['a', 'b'].map((name) => hub.add(name, KEEPALIVE));
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a', '10.1.0.0/16 b 10']);
    live(hub, 2, [a, b]);
    expect(probe(hub, '10.1.0.5')).toBe('a');
    live(hub, 9, [b]);
    expect(probe(hub, '10.1.0.5')).toBe('a');
    live(hub, 2, [b]);
    expect(hub.eventsOf('restarting')).toEqual([
      { kind: 'restarting', peer: a.index, reason: 'ping-restart' },
    ]);
    expect(probe(hub, '10.1.0.5')).toBe('b');
    live(hub, 25, [b]);
    expect(probe(hub, '10.1.0.5')).toBe('b');
    live(hub, 1, [a, b]);
    expect(probe(hub, '10.1.0.5')).toBe('a');
  });

  it('take over at once when the primary says that it exits', () => {
    const hub = new Hub();
    const [a] = ['a', 'b'].map((name) => hub.add(name));
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a', '10.1.0.0/16 b 10']);
    a.spoke.exit();
    hub.settle();
    expect(probe(hub, '10.1.0.5')).toBe('b');
    hub.connect(a);
    expect(probe(hub, '10.1.0.5')).toBe('b');
    a.spoke.ping();
    expect(probe(hub, '10.1.0.5')).toBe('a');
  });

  it('take over at once when the primary is removed, whatever it still has to say', () => {
    const hub = new Hub();
    const [a, b] = ['a', 'b'].map((name) => hub.add(name, { exitNotify: 3 }));
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a', '10.1.0.0/16 b 10']);
    hub.engine.peering.removePeer(a.index);
    expect(probe(hub, '10.1.0.5')).toBe('b');
    // It may have something to say until then.
    a.spoke.send(packet('10.1.0.5', '10.8.0.1'));
    hub.settle();
    expect(hub.delivered).toHaveLength(1);
    expect(probe(hub, '10.1.0.5')).toBe('b');
    hub.engine.peering.removePeer(b.index);
    expect(probe(hub, '10.1.0.5')).toBe('host');
    expect(hub.drops(DropReason.PeerDown, a)).toBe(1);
  });

  it('ask a lost peer at once, which would otherwise have no reason to speak', () => {
    const hub = new Hub();
    const a = hub.add('a', { occ: true, pingTimeoutSec: 5 });
    const sent = () => a.counters.get(Counter.UdpWritePackets);
    live(hub, 4, []);
    expect(sent()).toBe(0);
    live(hub, 2, []);
    expect(hub.eventsOf('restarting')).toHaveLength(1);
    expect(sent()).toBe(1);
  });

  it('a restart for another reason is not a loss: it comes back to the primary without a word from it', () => {
    const hub = new Hub();
    const [a] = ['a', 'b'].map((name) => hub.add(name));
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a', '10.1.0.0/16 b 10']);
    hub.engine.peering.restart(a.index, 'sigusr1');
    expect(probe(hub, '10.1.0.5')).toBe('b');
    hub.connect(a);
    expect(probe(hub, '10.1.0.5')).toBe('a');
  });

  it('may use the sources of the primary at any time, as the primary may', () => {
    const hub = new Hub();
    const [a, b] = ['a', 'b'].map((name) => hub.add(name));
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a', '10.1.0.0/16 b 10']);
    a.spoke.send(packet('10.1.0.5', '10.8.0.1'));
    b.spoke.send(packet('10.1.0.5', '10.8.0.1'));
    hub.settle();
    expect(hub.delivered).toHaveLength(2);
  });

  it('a peer that has not been found yet is no way either', () => {
    const hub = new Hub();
    hub.add('a', { unknown: true });
    hub.add('b');
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a', '10.1.0.0/16 b 10']);
    expect(probe(hub, '10.1.0.5')).toBe('b');
    hub.peers[0].spoke.ping();
    expect(probe(hub, '10.1.0.5')).toBe('a');
  });
});

describe('when every peer of a prefix is down', () => {
  const routes = [...OWN_ROUTES, '10.0.0.0/8 b', '10.1.0.0/16 a'];

  it('a shorter prefix takes nothing over, unless the operator says so', () => {
    for (const fallthrough of [false, true]) {
      const hub = new Hub();
      const [a] = ['a', 'b'].map((name) => hub.add(name));
      hub.route(routes, [], fallthrough);
      expect(probe(hub, '10.1.0.5')).toBe('a');
      hub.engine.peering.restart(a.index, 'ping-restart');
      hub.connect(a);
      expect(probe(hub, '10.1.0.5')).toBe(fallthrough ? 'b' : 'host');
      a.spoke.ping();
      expect(probe(hub, '10.1.0.5')).toBe('a');
    }
  });

  it('with fallthrough its sources follow, and come back', () => {
    const hub = new Hub();
    const [a, b] = ['a', 'b'].map((name) => hub.add(name));
    hub.route(routes, [], true);
    const spoof = () => {
      const before = hub.drops(DropReason.Spoofed, b);
      b.spoke.send(packet('10.1.0.5', '10.8.0.1'));
      hub.settle();
      return hub.drops(DropReason.Spoofed, b) > before;
    };
    expect(spoof()).toBe(true);
    hub.engine.peering.restart(a.index, 'ping-restart');
    expect(spoof()).toBe(false);
    hub.connect(a);
    a.spoke.ping();
    hub.settle();
    expect(spoof()).toBe(true);
  });

  it('a peer between two connections is dropped for in silence, a lost or ended one is not', () => {
    const hub = new Hub();
    const [a, b] = ['a', 'b'].map((name) => hub.add(name, { pingTimeoutAction: 'exit', pingTimeoutSec: 5 }));
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a', '10.2.0.0/16 b']);
    hub.engine.peering.restart(a.index, 'control');
    expect(probe(hub, '10.1.0.5')).toBeUndefined();
    expect(hub.drops(DropReason.PeerRestarting, a)).toBe(1);
    hub.advance(6000);
    expect(hub.eventsOf('exit')).toEqual([{ kind: 'exit', peer: b.index, reason: 'ping-exit' }]);
    expect(probe(hub, '10.2.0.5')).toBe('host');
    expect(hub.drops(DropReason.PeerDown, b)).toBe(1);
    expect(readIcmpError(hub.delivered[0])).toMatchObject({ type: 3, code: 1 });
  });

  it('so is one that is gone while the table still names it', () => {
    const hub = new Hub();
    const a = hub.add('a');
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a']);
    hub.engine.peering.removePeer(a.index);
    hub.settle();
    hub.settle();
    expect(hub.eventsOf('removed')).toEqual([{ kind: 'removed', peer: a.index }]);
    expect(probe(hub, '10.1.0.5')).toBe('host');
    expect(hub.allDrops()).toEqual([['-', DropReason.PeerDown, 1]]);
  });
});

describe('what waits for a full socket', () => {
  const NAMES = ['a', 'b', 'c'] as const;

  /** Three peers behind one socket, which takes `room` datagrams of 300 that the host sends in turn. */
  function waiting(room: number) {
    const hub = new Hub();
    const shared = hub.sharedLink();
    const [a, b, c] = NAMES.map((name) => hub.add(name, { shared }));
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a', '10.2.0.0/16 b', '10.3.0.0/16 c']);
    shared.port.room = room;
    for (let mark = 0; mark < 300; mark++)
      hub.toSend.push(packet(HOST, `10.${1 + (mark % 3)}.0.5`, { mark }));
    hub.work();
    expect(hub.engine.blocked).toBe(true);
    return { hub, shared, a, b, c };
  }

  const marks = (peer: HubPeer) => peer.spoke.delivered.map(markOf);
  const every = (first: number) => Array.from({ length: 100 }, (_, i) => first + 3 * i);

  it('waits in order and loses nothing', () => {
    const { hub, shared, a, b, c } = waiting(50);
    shared.port.room = Infinity;
    hub.work();
    expect([a, b, c].map(marks)).toEqual([every(0), every(1), every(2)]);
    expect(hub.allDrops()).toEqual([]);
  });

  it.each([0, 1, 50, 126])('loses nothing of the others when one restarts (%i sent before)', (room) => {
    const { hub, shared, a, b, c } = waiting(room);
    const read = 300 - hub.toSend.length;
    hub.engine.peering.restart(a.index, 'sigusr1');
    hub.connect(a);
    shared.port.room = Infinity;
    hub.work();
    expect([b, c].map(marks)).toEqual([every(1), every(2)]);
    const lost = hub.drops(DropReason.PeerRestarting, a);
    expect(lost).toBe(every(0).filter((mark) => mark >= room && mark < read).length);
    expect(marks(a)).toEqual(every(0).filter((mark) => mark < room || mark >= read));
    expect(hub.allDrops()).toEqual([['a', DropReason.PeerRestarting, lost]]);
    expect(a.spoke.replayed + b.spoke.replayed + c.spoke.replayed).toBe(0);
  });

  it('is counted at a peer that is removed meanwhile, and never sent to the next with its number', () => {
    const { hub, shared, a, b, c } = waiting(50);
    const read = 300 - hub.toSend.length;
    hub.engine.peering.removePeer(a.index);
    for (let i = 0; i < 3; i++) hub.engine.breathe();
    expect(hub.eventsOf('removed')).toEqual([{ kind: 'removed', peer: a.index }]);
    const lost = every(0).filter((mark) => mark >= 50 && mark < read).length;
    const d = hub.add('d', { shared });
    expect(d.index).toBe(a.index);
    hub.route([...OWN_ROUTES, '10.1.0.0/16 d', '10.2.0.0/16 b', '10.3.0.0/16 c']);
    shared.port.room = Infinity;
    hub.work();
    expect([b, c].map(marks)).toEqual([every(1), every(2)]);
    expect(marks(d)).toEqual(every(0).filter((mark) => mark >= read));
    expect(hub.allDrops()).toEqual([['a', DropReason.PeerRestarting, lost]]);
  });

  it('is gone with the only link, and the worker neither spins nor stops reading', () => {
    const hub = new Hub();
    const a = hub.add('a');
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a']);
    a.port.room = 10;
    for (let mark = 0; mark < 300; mark++) hub.toSend.push(packet(HOST, '10.1.0.5', { mark }));
    hub.work();
    expect(hub.engine.blocked).toBe(true);
    hub.engine.peering.restart(a.index, 'sigusr1');
    hub.work();
    expect(hub.engine.blocked).toBe(false);
    expect(hub.toSend).toEqual([]);
    expect(hub.allDrops()).toEqual([['a', DropReason.PeerRestarting, 290]]);
    hub.connect(a);
    hub.toSend.push(packet(HOST, '10.1.0.5', { mark: 1000 }));
    hub.work();
    expect(marks(a)).toEqual([...Array.from({ length: 10 }, (_, i) => i), 1000]);
  });

  it('goes before what peers send each other, or the receiver would take it for replayed', () => {
    const hub = new Hub();
    const shared = hub.sharedLink();
    const [a, b] = ['a', 'b'].map((name) => hub.add(name, { shared }));
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a', '10.2.0.0/16 b']);
    shared.port.room = 0;
    for (let mark = 0; mark < 120; mark++) hub.toSend.push(packet(HOST, '10.2.0.5', { mark }));
    hub.work();
    a.spoke.send(packet('10.1.0.9', '10.2.0.9', { mark: 5000 }));
    shared.port.room = Infinity;
    hub.work();
    expect(b.spoke.replayed).toBe(0);
    expect(marks(b)).toEqual([...Array.from({ length: 120 }, (_, i) => i), 5000]);
  });

  it('with several links nothing waits: a slow path does not hold up the others', () => {
    const hub = new Hub();
    const [a, b] = ['a', 'b'].map((name) => hub.add(name));
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a', '10.2.0.0/16 b']);
    a.port.room = 7;
    for (let mark = 0; mark < 200; mark++)
      hub.toSend.push(packet(HOST, `10.${1 + (mark % 2)}.0.5`, { mark }));
    hub.work();
    expect(marks(a)).toHaveLength(7);
    expect(marks(b)).toHaveLength(100);
    expect(hub.allDrops()).toEqual([['a', DropReason.SendBuffer, 93]]);
  });
});
