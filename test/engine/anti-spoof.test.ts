import { describe, expect, it } from 'vitest';
import { DropReason } from '../../src/packet/verdict.ts';
import { Hub } from '../support/hub.ts';
import { icmpMessage, OWN_ROUTES, packet, SITE_ROUTES, twoSites } from '../support/hub-packets.ts';

const LAN_HOST = '172.16.0.9';

describe('anti-spoof', () => {
  const spoofs: [string, string, DropReason][] = [
    ['a source of peer b', '10.2.0.5', DropReason.Spoofed],
    ['a source of its own /16 that is in b’s /24', '10.1.7.5', DropReason.Spoofed],
    ['the gateway’s tunnel address', '10.8.0.1', DropReason.Spoofed],
    ['the gateway’s LAN address', '172.16.0.2', DropReason.Spoofed],
    ['a host of the gateway’s LAN', LAN_HOST, DropReason.Spoofed],
    ['a source nobody routes', '198.18.0.1', DropReason.Spoofed],
    ['IPv6 of peer b', 'fd02::5', DropReason.Spoofed],
    ['the gateway’s IPv6 address', 'fd08::1', DropReason.Spoofed],
    ['127.0.0.1', '127.0.0.1', DropReason.Martian],
    ['multicast', '224.0.0.5', DropReason.Martian],
    ['0.0.0.0', '0.0.0.0', DropReason.Martian],
    ['class E', '240.0.0.1', DropReason.Martian],
    ['broadcast', '255.255.255.255', DropReason.Martian],
    ['::1', '::1', DropReason.Martian],
    ['::', '::', DropReason.Martian],
    ['IPv4-mapped', '::ffff:10.1.0.1', DropReason.Martian],
    ['IPv6 multicast', 'ff02::1', DropReason.Martian],
    ['IPv4 link-local', '169.254.1.1', DropReason.NotForwarded],
    ['IPv6 link-local', 'fe80::1', DropReason.NotForwarded],
  ];

  it.each(spoofs)('refuses %s, whatever the destination', (_, source, reason) => {
    const hub = new Hub();
    const { a, b } = twoSites(hub);
    const destinations = source.includes(':')
      ? ['fd02::9', 'fd08::1', 'fd99::1']
      : ['10.2.0.9', '10.8.0.1', LAN_HOST];
    for (const destination of destinations) a.spoke.send(packet(source, destination));
    hub.settle();
    expect(hub.allDrops()).toEqual([['a', reason, 3]]);
    expect(hub.delivered).toEqual([]);
    expect(b.spoke.delivered).toEqual([]);
    // Nobody is told: neither who sent it nor whose address it was.
    expect(a.spoke.delivered).toEqual([]);
    expect(hub.eventsOf('spoofed')).toHaveLength(reason === DropReason.Spoofed ? 1 : 0);
  });

  it.each(
    spoofs.filter(
      ([name]) => /gateway’s (?!LAN$)|127|multicast|::1$/.test(name) && !name.startsWith('a host'),
    ),
  )('refuses %s from a peer that may use any source, too', (_, source, reason) => {
    const hub = new Hub();
    const { a } = twoSites(hub, { anySource: true });
    a.spoke.send(packet(source, source.includes(':') ? 'fd02::9' : '10.2.0.9'));
    hub.settle();
    expect(hub.allDrops()).toEqual([['a', reason, 1]]);
  });

  it('any source means any other', () => {
    const hub = new Hub();
    const { a, b } = twoSites(hub, { anySource: true });
    a.spoke.send(packet('198.18.0.1', '10.2.0.9'), packet('10.2.0.5', '10.8.0.1'));
    hub.settle();
    expect(b.spoke.delivered).toHaveLength(1);
    expect(hub.delivered).toHaveLength(1);
  });

  it('an allowed source passes, one next to it does not, and it opens nothing that is routed to others', () => {
    const hub = new Hub();
    const { a, b } = twoSites(hub);
    hub.route(SITE_ROUTES, ['10.2.4.0/24 a', '192.168.0.0/16 a', '172.16.0.0/16 a']);
    a.spoke.send(...['10.2.4.9', '192.168.7.7'].map((source) => packet(source, '10.8.0.1')));
    hub.settle();
    expect(hub.delivered).toHaveLength(2);
    a.spoke.send(
      ...['10.2.5.9', '192.169.0.1', '172.16.0.2', LAN_HOST].map((source) => packet(source, '10.8.0.1')),
    );
    hub.settle();
    expect(hub.drops(DropReason.Spoofed, a)).toBe(4);
    b.spoke.send(packet('10.2.4.9', '10.8.0.1'), packet('192.168.7.7', '10.8.0.1'));
    hub.settle();
    expect(hub.delivered).toHaveLength(3);
    expect(hub.drops(DropReason.Spoofed, b)).toBe(1);
  });

  it('reports one source in 10 s and peer, naming it, however many there are', () => {
    const hub = new Hub();
    const { a, b } = twoSites(hub);
    for (let second = 0; second < 25; second++) {
      for (let i = 0; i < 20; i++) a.spoke.send(packet(`10.2.0.${second}`, '10.8.0.1'));
      b.spoke.send(packet('10.1.0.1', '10.8.0.1'));
      hub.settle();
      hub.clock.ms += 1000;
    }
    expect(hub.drops(DropReason.Spoofed, a)).toBe(500);
    expect(hub.drops(DropReason.Spoofed, b)).toBe(25);
    expect(hub.eventsOf('spoofed')).toEqual(
      [0, 10, 20].flatMap((second) => [
        { kind: 'spoofed', peer: a.index, address: `10.2.0.${second}` },
        { kind: 'spoofed', peer: b.index, address: '10.1.0.1' },
      ]),
    );
  });

  it('refuses broken, source-routed and redirecting packets', () => {
    const hub = new Hub();
    const { a } = twoSites(hub);
    const broken = packet('10.1.0.5', '10.8.0.1');
    broken[10] ^= 1;
    const redirect = icmpMessage('10.1.0.5', '10.8.0.1', 5, packet('10.8.0.1', '10.1.0.9').subarray(0, 28));
    a.spoke.send(broken, redirect, Buffer.alloc(40, 0x55), packet('10.1.0.5', '10.8.0.1').subarray(0, 40));
    hub.settle();
    expect(hub.allDrops()).toEqual([
      ['a', DropReason.InnerVersion, 1],
      ['a', DropReason.InnerHeader, 1],
      ['a', DropReason.HeaderChecksum, 1],
      ['a', DropReason.Redirect, 1],
    ]);
  });

  it('own routes alone let nothing of a peer in', () => {
    const hub = new Hub();
    const a = hub.add('a');
    hub.route(OWN_ROUTES);
    a.spoke.send(packet('10.1.0.5', '10.8.0.1'));
    hub.settle();
    expect(hub.drops(DropReason.Spoofed, a)).toBe(1);
  });
});
