import { expect, it } from 'vitest';
import { DropReason } from '../../src/packet/verdict.ts';
import { Hub } from '../support/hub.ts';
import { packet } from '../support/hub-packets.ts';

const [A, B] = [0, 1];

it('a packet to the outer address of a peer goes into the tunnel of another, unless that leads in a circle', () => {
  const hub = new Hub();
  for (const name of ['a', 'b']) hub.add(name);
  hub.route(['192.0.2.1/32 b', '192.0.2.2/32 a', '0.0.0.0/0 a']);
  const send = () => {
    hub.toSend.push(packet('203.0.113.1', '192.0.2.1'), packet('203.0.113.1', '192.0.2.2'));
    hub.toSend.push(packet('203.0.113.1', '192.0.2.9'));
    hub.settle();
  };
  send();
  expect(hub.allDrops()).toEqual([]);
  hub.engine.setRecursive([A, B]);
  send();
  expect(hub.drops(DropReason.Recursive, hub.peers[A])).toBe(1);
  expect(hub.drops(DropReason.Recursive, hub.peers[B])).toBe(1);
  hub.engine.setRecursive([]);
  send();
  expect(hub.peers.map(({ spoke }) => spoke.delivered.length)).toEqual([5, 2]);
  expect(hub.allDrops()).toHaveLength(2);
});
