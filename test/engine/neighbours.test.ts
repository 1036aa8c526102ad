/** Link-local addresses on a device with several peers: each is its owner's, and no router forwards them (RFC 4291 2.5.6). */
import { describe, expect, it } from 'vitest';
import { DropReason } from '../../src/packet/verdict.ts';
import { Hub } from '../support/hub.ts';
import { icmpMessage, packet } from '../support/hub-packets.ts';

const HUB = 'fe80::1';
const [A, B] = [0, 1];

function hub(): Hub {
  const subject = new Hub();
  for (const name of ['a', 'b']) subject.add(name);
  subject.route(['fe80::a/128 a', 'fe80::b/128 b', '::/0 b', 'fd00:a::/32 a', 'fd00:b::/32 b']);
  return subject;
}

describe('a packet to a link-local address', () => {
  it.each([
    ['of a peer goes to it', 'fe80::a', [1, 0]],
    ['of nobody goes nowhere, not even by a default route', 'fe80::c', [0, 0]],
  ])('%s', (_rule, destination, delivered) => {
    const subject = hub();
    subject.toSend.push(packet(HUB, destination));
    subject.settle();
    expect(subject.peers.map(({ spoke }) => spoke.delivered.length)).toEqual(delivered);
    expect(subject.drops(DropReason.NotForwarded)).toBe(delivered[A] === 0 ? 1 : 0);
    // Whoever looks for neighbours gets no error for one that is not there.
    expect(subject.delivered).toEqual([]);
  });

  it.each<[rule: string, source: string, destination: string, drop: DropReason | undefined]>([
    ['from its owner goes to the kernel', 'fe80::a', HUB, undefined],
    ['from an owner of global addresses goes to the kernel', 'fd00:a::1', HUB, undefined],
    ['goes to the kernel and never to another peer', 'fe80::a', 'fe80::b', undefined],
    ['from the address of another is spoofed', 'fe80::b', HUB, DropReason.Spoofed],
    ['from the address of nobody is spoofed', 'fe80::c', HUB, DropReason.Spoofed],
    ['leads no further with a global destination', 'fe80::a', 'fd00:b::1', DropReason.NotForwarded],
    ['leads no further with a multicast destination', 'fe80::a', 'ff02::5', DropReason.NotForwarded],
  ])('%s', (_rule, source, destination, drop) => {
    const subject = hub();
    subject.peers[A].spoke.send(packet(source, destination));
    subject.settle();
    expect(subject.delivered).toHaveLength(drop === undefined ? 1 : 0);
    expect(subject.peers[B].spoke.delivered).toEqual([]);
    expect(subject.allDrops()).toEqual(drop === undefined ? [] : [['a', drop, 1]]);
  });

  it('is no redirect', () => {
    const subject = hub();
    subject.peers[A].spoke.send(icmpMessage('fe80::a', HUB, 137, Buffer.alloc(40)));
    subject.settle();
    expect(subject.allDrops()).toEqual([['a', DropReason.Redirect, 1]]);
  });

  it('does not go to a peer that is down', () => {
    const subject = hub();
    subject.engine.peering.restart(A, 'ping-restart');
    subject.toSend.push(packet(HUB, 'fe80::a'));
    subject.settle();
    expect(subject.drops(DropReason.NotForwarded)).toBe(1);
  });
});
