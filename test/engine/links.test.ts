import { describe, expect, it } from 'vitest';
import { Counter } from '../../src/engine/counters.ts';
import { DropReason } from '../../src/packet/verdict.ts';
import { encodeEndpoint } from '../../src/transport/endpoint.ts';
import { Hub, type HubPeer } from '../support/hub.ts';
import { markOf, OWN_ROUTES, packet } from '../support/hub-packets.ts';
import { breatheAll } from '../support/pair.ts';
import { wayTo } from '../support/way.ts';

const NAMES = ['a', 'b', 'c'];
const ROUTES = [...OWN_ROUTES, '10.1.0.0/16 a', '10.2.0.0/16 b', '10.3.0.0/16 c'];
const STRANGER = encodeEndpoint('198.51.100.66', 1194);
const HOST = '172.16.0.9';

function sharing(options = {}) {
  const hub = new Hub();
  const shared = hub.sharedLink();
  const [a, b, c] = NAMES.map((name) => hub.add(name, { shared, ...options }));
  hub.route(ROUTES);
  return { hub, shared, a, b, c };
}

/** One packet each way; says which of the two arrived. */
function alive(hub: Hub, peer: HubPeer): [boolean, boolean] {
  const network = NAMES.indexOf(peer.name) + 1;
  const before = [peer.spoke.delivered.length, hub.delivered.length];
  hub.toSend.push(packet(HOST, `10.${network}.0.5`));
  peer.spoke.send(packet(`10.${network}.0.5`, '10.8.0.1'));
  hub.settle();
  return [peer.spoke.delivered.length > before[0], hub.delivered.length > before[1]];
}

describe('a shared link', () => {
  it('knows its peers by their addresses, however their datagrams are mixed', () => {
    const { hub, a, b, c } = sharing();
    for (let mark = 0; mark < 90; mark++) {
      const i = mark % 3;
      [a, b, c][i].spoke.send(packet(`10.${i + 1}.0.5`, '10.8.0.1', { mark }));
    }
    hub.settle();
    expect(hub.delivered.map(markOf)).toEqual(Array.from({ length: 90 }, (_, i) => i));
    for (const { counters } of [a, b, c]) expect(counters.get(Counter.TunWritePackets)).toBe(30);
    expect(hub.allDrops()).toEqual([]);
  });

  it('tells peers apart by port, where they share an address', () => {
    const hub = new Hub();
    const shared = hub.sharedLink();
    const [a, b] = ['a', 'b'].map((name) => hub.add(name, { shared, behind: '192.0.2.200' }));
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a', '10.2.0.0/16 b']);
    expect([alive(hub, a), alive(hub, b)]).toEqual([
      [true, true],
      [true, true],
    ]);
    expect(hub.allDrops()).toEqual([]);
  });

  it('forwards between its peers', () => {
    const { hub, a, b } = sharing();
    a.spoke.send(packet('10.1.0.5', '10.2.0.5', { mark: 9 }));
    hub.settle();
    expect(b.spoke.delivered.map(markOf)).toEqual([9]);
  });

  it('rejects a stranger before any cryptography, at nobody’s cost, with one event in 10 s', () => {
    const { hub, shared, a, b, c } = sharing();
    const stolen = a.spoke.seal(packet('10.1.0.5', '10.8.0.1'));
    for (let second = 0; second < 15; second++) {
      for (let i = 0; i < 100; i++) shared.port.inbox.push({ bytes: stolen, source: STRANGER });
      hub.settle();
      hub.clock.ms += 1000;
    }
    expect(hub.delivered).toEqual([]);
    expect(hub.allDrops()).toEqual([['-', DropReason.Source, 1500]]);
    expect(hub.device.get(Counter.UdpReadPackets)).toBe(1500);
    expect(hub.device.get(Counter.UdpReadBytes)).toBe(1500 * stolen.length);
    const event = { kind: 'rejected-source', link: shared.id, endpoint: '[AF_INET]198.51.100.66:1194' };
    expect(hub.events).toEqual([event, event]);
    for (const peer of [a, b, c]) expect(alive(hub, peer)).toEqual([true, true]);
  });

  it('reports the stranger at each link: noise at one does not hide another', () => {
    const hub = new Hub();
    const links = [hub.sharedLink(1194), hub.sharedLink(1195)];
    for (const { port } of links) port.inbox.push({ bytes: new Uint8Array(100), source: STRANGER });
    hub.settle();
    expect(hub.eventsOf('rejected-source').map(({ link }) => link)).toEqual(links.map(({ id }) => id));
  });

  it('lets a peer with another’s address do nothing: the key decides', () => {
    const { hub, shared, a, b } = sharing();
    const datagram = a.spoke.seal(packet('10.1.0.5', '10.8.0.1'));
    shared.port.inbox.push({ bytes: datagram, source: b.spoke.address });
    hub.settle();
    expect(hub.allDrops()).toEqual([['b', DropReason.Auth, 1]]);
  });

  it('stays open when a peer restarts, and the others notice nothing', () => {
    const { hub, shared, a, b, c } = sharing();
    hub.engine.peering.restart(a.index, 'sigusr1');
    expect(shared.port.closed).toBe(false);
    expect(alive(hub, b)).toEqual([true, true]);
    expect(alive(hub, a)).toEqual([false, false]);
    expect(hub.allDrops()).toEqual([
      ['-', DropReason.Source, 1],
      ['a', DropReason.PeerRestarting, 1],
    ]);
    hub.connect(a);
    for (const peer of [a, b, c]) expect(alive(hub, peer)).toEqual([true, true]);
  });

  it('is counted as the device’s even with one peer left: who knocks is not that peer', () => {
    const { hub, shared, a, b } = sharing();
    hub.engine.peering.restart(a.index, 'sigusr1');
    hub.engine.peering.restart(b.index, 'sigusr1');
    shared.port.inbox.push({ bytes: new Uint8Array(100), source: b.spoke.address });
    hub.settle();
    expect(hub.allDrops()).toEqual([['-', DropReason.Source, 1]]);
  });

  it('lets go of a removed peer, and takes a new one', () => {
    const { hub, shared, a, b, c } = sharing();
    hub.engine.peering.removePeer(b.index);
    hub.settle();
    hub.settle();
    expect(hub.eventsOf('removed')).toEqual([{ kind: 'removed', peer: b.index }]);
    expect(shared.port.closed).toBe(false);
    b.spoke.send(packet('10.2.0.5', '10.8.0.1'));
    hub.settle();
    expect(hub.allDrops()).toEqual([['-', DropReason.Source, 1]]);
    const d = hub.add('b', { shared });
    hub.route(ROUTES);
    for (const peer of [a, d, c]) expect(alive(hub, peer)).toEqual([true, true]);
  });

  it('closed under its peers, stops them without a busy loop until they connect again', () => {
    const { hub, shared, a, b } = sharing({ pingSec: 1 });
    hub.work();
    hub.engine.peering.closeLink(shared.id);
    expect(shared.port.closed).toBe(true);
    hub.clock.ms += 5000;
    expect(hub.engine.nextTimeoutMs()).toBe(Infinity);
    hub.toSend.push(packet(HOST, '10.1.0.5'));
    hub.work();
    expect(hub.allDrops()).toEqual([['a', DropReason.PeerRestarting, 1]]);
    const port = hub.network.open('203.0.113.1', 1194);
    const link = hub.openLink(port, true);
    for (const peer of [a, b]) hub.engine.peering.connect(peer.index, link, wayTo([peer.spoke.address]));
    expect(alive(hub, a)).toEqual([true, true]);
    expect(alive(hub, b)).toEqual([true, true]);
  });
});

describe('a link of one peer', () => {
  it('is closed by its restart, and a stranger is counted at the peer', () => {
    const hub = new Hub();
    const a = hub.add('a');
    const first = a.port;
    first.inbox.push({ bytes: new Uint8Array(100), source: STRANGER });
    hub.settle();
    expect(hub.allDrops()).toEqual([['a', DropReason.Source, 1]]);
    hub.engine.peering.restart(a.index, 'sigusr1');
    expect(first.closed).toBe(true);
    hub.connect(a);
    hub.route(ROUTES.filter((line) => !/[bc]$/.test(line)));
    expect(alive(hub, a)).toEqual([true, true]);
  });

  it('keeps what comes before the peer is connected to it', () => {
    const hub = new Hub();
    const a = hub.add('a', { idle: true });
    hub.route(ROUTES.filter((line) => !/[bc]$/.test(line)));
    const link = hub.openLink(a.port, false);
    a.spoke.send(packet('10.1.0.5', HOST));
    for (let i = 0; i < 3; i++) breatheAll(hub.engine);
    expect(hub.delivered).toEqual([]);
    hub.engine.peering.connect(a.index, link, wayTo([a.spoke.address]));
    hub.settle();
    expect(hub.delivered).toHaveLength(1);
    expect(hub.allDrops()).toEqual([]);
  });

  it('stays open when the peer is connected over it again', () => {
    const hub = new Hub();
    const a = hub.add('a');
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a']);
    hub.engine.peering.connect(a.index, a.link, wayTo([a.spoke.address]));
    expect(a.port.closed).toBe(false);
    expect(alive(hub, a)).toEqual([true, true]);
  });

  it('opened for a peer that is leaving is closed at once', () => {
    const hub = new Hub();
    const a = hub.add('a', { exitNotify: 2 });
    hub.engine.peering.removePeer(a.index);
    hub.connect(a);
    expect(a.port.closed).toBe(true);
    hub.advance(3000);
    expect(hub.eventsOf('removed')).toHaveLength(1);
  });
});
