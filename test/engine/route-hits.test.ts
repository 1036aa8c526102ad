/** What each route has taken, and which of several of equal cost takes a flow. */
import { describe, expect, it } from 'vitest';
import { DropReason } from '../../src/packet/verdict.ts';
import { Hub } from '../support/hub.ts';
import { OWN_ROUTES, packet } from '../support/hub-packets.ts';
import { ipPacket, udp } from '../support/ip-packets.ts';

const ROUTES = [...OWN_ROUTES, '10.1.0.0/16 a', '10.2.0.0/16 b', '10.2.0.0/16 c 10', '10.9.0.0/16 blackhole'];

function hub(options = {}): Hub {
  const subject = new Hub(options);
  for (const name of ['a', 'b', 'c']) subject.add(name);
  subject.route(ROUTES);
  return subject;
}

const [A, B, C] = [0, 1, 2];
const flow = (port: number, destination = '10.7.0.1') =>
  ipPacket(
    { source: '172.16.0.9', destination },
    udp({ sourcePort: port, destinationPort: 53, data: Buffer.alloc(30) }),
  );

describe('hits of routes', () => {
  it('count what they take, from peers and from the kernel, to wherever', () => {
    const subject = hub();
    const { spoke } = subject.peers[A];
    for (let i = 0; i < 5; i++) spoke.send(packet('10.1.0.5', '10.2.0.5', { length: 100 }));
    spoke.send(packet('10.1.0.5', '10.8.0.1', { length: 70 }), packet('10.1.0.5', '10.9.0.1'));
    subject.toSend.push(packet('172.16.0.9', '10.1.0.5', { length: 200 }));
    subject.settle();
    expect(subject.hits()).toEqual([
      '10.1.0.0/16 a 1 200',
      '10.2.0.0/16 b 5 500',
      '10.8.0.1/32 own 1 70',
      '10.9.0.0/16 blackhole 1 60',
    ]);
  });

  it('count for the backup what the backup takes', () => {
    const subject = hub();
    subject.engine.peering.restart(B, 'ping-restart');
    subject.toSend.push(packet('172.16.0.9', '10.2.0.5'));
    subject.settle();
    expect(subject.hits()).toEqual(['10.2.0.0/16 c 1 60']);
  });

  it('count for the shorter prefix what falls through to it', () => {
    const subject = hub();
    subject.route([...ROUTES, '10.0.0.0/8 a'], [], true);
    for (const peer of [B, C]) subject.engine.peering.restart(peer, 'ping-restart');
    subject.toSend.push(packet('172.16.0.9', '10.2.0.5'));
    subject.settle();
    expect(subject.hits()).toEqual(['10.0.0.0/8 a 1 60']);
  });

  it('stay with their routes when others come and go, and do not with those', () => {
    const subject = hub();
    subject.toSend.push(packet('172.16.0.9', '10.1.0.5'), packet('172.16.0.9', '10.2.0.5'));
    subject.settle();
    subject.route([...OWN_ROUTES, '10.0.0.0/8 c', '10.2.0.0/16 b']);
    expect(subject.hits()).toEqual(['10.2.0.0/16 b 1 60']);
    subject.route(ROUTES);
    expect(subject.hits()).toEqual(['10.2.0.0/16 b 1 60']);
  });

  it('do not count what the kernel is to decide about, which comes back if it is for a peer', () => {
    const subject = hub({ settings: { clientToClient: false } });
    subject.peers[A].spoke.send(packet('10.1.0.5', '10.2.0.5'));
    subject.settle();
    expect(subject.hits()).toEqual([]);
    subject.toSend.push(...subject.delivered);
    subject.settle();
    expect(subject.hits()).toEqual(['10.2.0.0/16 b 1 60']);
  });

  it('do not count imagined packets', () => {
    const subject = hub();
    subject.engine.answer({ kind: 'trace', from: A, packet: packet('10.1.0.5', '10.2.0.5') });
    expect(subject.hits()).toEqual([]);
  });
});

describe('routes of equal cost', () => {
  const SHARED = [...OWN_ROUTES, '10.7.0.0/16 a 32 1', '10.7.0.0/16 b 32 1'];
  const FLOWS = 200;
  /** Ports of the flows that the peer got. */
  const portsAt = ({ peers }: Hub, peer: number) =>
    peers[peer].spoke.delivered.map((bytes) => Buffer.from(bytes).readUInt16BE(20));
  function send(subject: Hub): void {
    for (const { spoke } of subject.peers) spoke.delivered.length = 0;
    for (let i = 0; i < 2 * FLOWS; i++) subject.toSend.push(flow(1000 + (i % FLOWS)));
    subject.settle();
  }

  it('share the flows, each of which stays together; those of a peer that is lost go to the other, and come back', () => {
    const subject = hub();
    subject.route(SHARED);
    send(subject);
    const [atA, atB] = [new Set(portsAt(subject, A)), new Set(portsAt(subject, B))];
    expect(atA.size + atB.size).toBe(FLOWS);
    expect(Math.min(atA.size, atB.size)).toBeGreaterThan(FLOWS / 4);
    subject.engine.peering.restart(B, 'ping-restart');
    send(subject);
    expect(new Set(portsAt(subject, A)).size).toBe(FLOWS);
    subject.connect(subject.peers[B]);
    subject.peers[B].spoke.send(packet('10.7.0.1', '10.8.0.1'));
    subject.settle();
    send(subject);
    expect(new Set(portsAt(subject, B))).toEqual(atB);
    expect(subject.allDrops()).toEqual([]);
  });

  it('are as good to the check of sources, whichever peer sends', () => {
    const subject = hub();
    subject.route(SHARED);
    for (const peer of [A, B, C]) subject.peers[peer].spoke.send(packet('10.7.0.1', '10.8.0.1'));
    subject.settle();
    expect(subject.delivered).toHaveLength(2);
    expect(subject.drops(DropReason.Spoofed, subject.peers[C])).toBe(1);
  });

  it('are told by a trace, which chooses as packets do', () => {
    const subject = hub();
    subject.route(SHARED);
    send(subject);
    const atA = new Set(portsAt(subject, A));
    for (let port = 1000; port < 1010; port++) {
      const steps = subject.engine.answer({ kind: 'trace', from: -1, packet: flow(port) });
      const peer = atA.has(port) ? A : B;
      expect(steps).toContainEqual(
        expect.objectContaining({ stage: 'route', outcome: 'longest match, shared by flows', peer }),
      );
    }
  });
});
