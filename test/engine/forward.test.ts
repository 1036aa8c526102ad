import { describe, expect, it } from 'vitest';
import { Counter } from '../../src/engine/counters.ts';
import { DropReason } from '../../src/packet/verdict.ts';
import { Hub } from '../support/hub.ts';
import {
  icmpMessage,
  mssOf,
  packet,
  ping,
  readIcmpError,
  SITE_ROUTES,
  syn,
  twoSites,
} from '../support/hub-packets.ts';
import { ipPacket, tcp } from '../support/ip-packets.ts';
import { tcpSum } from '../support/packets.ts';

const LAN_HOST = '172.16.0.9';

describe('the longest match decides where a packet goes', () => {
  it.each([
    ['a site', '10.1.2.3', 'a'],
    ['a part of it that is another peer’s', '10.1.7.3', 'b'],
    ['the last address of that part', '10.1.7.255', 'b'],
    ['the first behind it', '10.1.8.0', 'a'],
    ['another site', '10.2.0.1', 'b'],
    ['IPv6', 'fd02::9', 'b'],
  ] as const)('%s', (_, destination, name) => {
    const hub = new Hub();
    const sites = twoSites(hub);
    const sent = packet(destination.includes(':') ? 'fd99::1' : LAN_HOST, destination);
    hub.toSend.push(sent);
    hub.settle();
    expect(sites[name].spoke.delivered).toEqual([Uint8Array.from(sent)]);
    expect(sites.a.spoke.delivered.length + sites.b.spoke.delivered.length).toBe(1);
    expect(hub.allDrops()).toEqual([]);
  });

  it('to this host’s networks and to nowhere known, packets of peers go to the kernel untouched', () => {
    const hub = new Hub();
    const { a } = twoSites(hub);
    const sent = ['10.8.0.1', '172.16.0.2', LAN_HOST, '198.18.0.1'].map((to) =>
      packet('10.1.0.5', to, { ttl: 1 }),
    );
    a.spoke.send(...sent);
    hub.settle();
    expect(hub.delivered.map((bytes) => Buffer.from(bytes))).toEqual(sent);
    expect(hub.allDrops()).toEqual([]);
  });
});

describe('packets that go nowhere', () => {
  const REFUSALS = [
    '10.9.0.0/16 blackhole',
    '10.10.0.0/16 unreachable',
    '10.11.0.0/16 prohibit',
    'fd10::/32 unreachable',
    'fd11::/32 prohibit',
  ];
  const rows: [string, string, DropReason, [number, number] | undefined][] = [
    ['no route', '198.18.0.1', DropReason.NoRoute, [3, 0]],
    ['blackhole', '10.9.0.1', DropReason.Blackhole, undefined],
    ['unreachable', '10.10.0.1', DropReason.Unreachable, [3, 1]],
    ['prohibit', '10.11.0.1', DropReason.Prohibit, [3, 13]],
    ['a lost peer', '10.1.0.1', DropReason.PeerDown, [3, 1]],
    ['this host’s own network', LAN_HOST, DropReason.Loop, [3, 0]],
    ['no route, IPv6', '2001:db8::1', DropReason.NoRoute, [1, 0]],
    ['unreachable, IPv6', 'fd10::1', DropReason.Unreachable, [1, 3]],
    ['prohibit, IPv6', 'fd11::1', DropReason.Prohibit, [1, 1]],
    ['a lost peer, IPv6', 'fd01::1', DropReason.PeerDown, [1, 3]],
  ];

  function refusing() {
    const hub = new Hub();
    const sites = twoSites(hub);
    hub.route([...SITE_ROUTES, ...REFUSALS]);
    hub.engine.peering.restart(sites.a.index, 'ping-restart');
    hub.connect(sites.a);
    return { hub, ...sites };
  }

  it.each(rows)('of the kernel: %s', (_, destination, reason, answer) => {
    const { hub } = refusing();
    const source = destination.includes(':') ? 'fd99::1' : LAN_HOST;
    const sent = packet(source, destination, { length: 400 });
    hub.toSend.push(sent);
    hub.settle();
    const owner = reason === DropReason.PeerDown ? 'a' : '-';
    expect(hub.allDrops()).toEqual([[owner, reason, 1]]);
    expect(hub.device.get(Counter.IcmpSent)).toBe(answer === undefined ? 0 : 1);
    if (answer === undefined) {
      expect(hub.delivered).toEqual([]);
      return;
    }
    expect(hub.delivered).toHaveLength(1);
    expect(readIcmpError(hub.delivered[0])).toEqual({
      // The kernel takes no IPv4 packet whose source is its own.
      source: destination.includes(':') ? 'fd08::1' : destination,
      destination: source,
      type: answer[0],
      code: answer[1],
      mtu: 0,
      quote: sent,
    });
  });

  it.each(rows.filter(([, , reason]) => reason !== DropReason.NoRoute && reason !== DropReason.Loop))(
    'of a peer: %s',
    (_, destination, reason, answer) => {
      const { hub, b } = refusing();
      const source = destination.includes(':') ? 'fd02::5' : '10.2.0.5';
      const sent = packet(source, destination, { length: 400 });
      b.spoke.send(sent);
      hub.settle();
      expect(hub.allDrops()).toEqual([['b', reason, 1]]);
      expect(hub.delivered).toEqual([]);
      const answers = b.spoke.delivered.map(readIcmpError);
      const from = destination.includes(':') ? 'fd08::1' : '10.8.0.1';
      expect(answers).toEqual(
        answer === undefined
          ? []
          : [{ source: from, destination: source, type: answer[0], code: answer[1], mtu: 0, quote: sent }],
      );
    },
  );

  it.each([
    ['10.8.0.1', '198.18.0.1'],
    ['172.16.0.2', '10.10.0.1'],
    ['fd08::1', '2001:db8::1'],
  ])(
    '%s is told by the destination itself, as the kernel takes nothing from outside in its own name',
    (own, to) => {
      const { hub } = refusing();
      hub.toSend.push(packet(own, to));
      hub.settle();
      expect(readIcmpError(hub.delivered[0])).toMatchObject({ source: to, destination: own });
    },
  );

  it('never answers an ICMP error, a later fragment or a broadcast', () => {
    const { hub } = refusing();
    const later = packet(LAN_HOST, '198.18.0.1', { mayFragment: true });
    later.writeUInt16BE(10, 6);
    hub.toSend.push(
      icmpMessage(LAN_HOST, '198.18.0.1', 3, packet('198.18.0.1', LAN_HOST).subarray(0, 28)),
      later,
      packet(LAN_HOST, '255.255.255.255'),
      packet(LAN_HOST, '224.0.0.251'),
      packet('fe80::1', 'ff02::2'),
    );
    hub.settle();
    expect(hub.delivered).toEqual([]);
    expect(hub.allDrops()).toEqual([
      ['-', DropReason.NotForwarded, 3],
      ['-', DropReason.NoRoute, 2],
    ]);
    hub.toSend.push(ping(LAN_HOST, '198.18.0.1'));
    hub.settle();
    expect(hub.delivered).toHaveLength(1);
  });

  it('answers one host 10 times at once and 10 times a second, and all together 50 and 100 times', () => {
    const { hub } = refusing();
    const burst = (hosts: number, each: number) => {
      hub.delivered.length = 0;
      for (let i = 0; i < hosts * each; i++) hub.toSend.push(packet(`172.16.1.${i % hosts}`, '198.18.0.1'));
      hub.settle();
      return hub.delivered.length;
    };
    expect(burst(1, 100)).toBe(10);
    hub.clock.ms += 500;
    expect(burst(1, 100)).toBe(5);
    hub.clock.ms += 60_000;
    // One breath holds 32 answers; a few share a bucket.
    expect(burst(100, 10)).toBeLessThanOrEqual(50);
    hub.clock.ms += 60_000;
    let sum = 0;
    for (let i = 0; i < 100; i++) {
      hub.clock.ms += 100;
      sum += burst(200, 1);
    }
    expect(sum).toBeLessThanOrEqual(50 + 1000);
    expect(sum).toBeGreaterThan(900);
    expect(hub.device.get(Counter.TunWritePackets)).toBe(hub.device.get(Counter.IcmpSent));
  });

  it('counts at nobody’s door what has no route, wherever the packet before it went', () => {
    const hub = new Hub();
    const { b } = twoSites(hub);
    hub.toSend.push(packet(LAN_HOST, '10.2.0.1'));
    hub.settle();
    hub.toSend.push(packet(LAN_HOST, '198.18.0.1'), packet('127.0.0.1', '10.2.0.1'));
    hub.settle();
    hub.toSend.push(Buffer.alloc(40, 0x55));
    hub.settle();
    expect(b.counters.totalDrops()).toBe(0);
    expect(hub.device.totalDrops()).toBe(3);
  });
});

describe('from peer to peer', () => {
  it('takes one off the TTL', () => {
    const hub = new Hub();
    const { a, b } = twoSites(hub);
    const sent = ping('10.1.0.5', '10.2.0.5');
    a.spoke.send(sent, ping('fd01::5', 'fd02::5'));
    hub.settle();
    expect(b.spoke.delivered.map((bytes) => bytes[bytes[0] >>> 4 === 4 ? 8 : 7])).toEqual([63, 63]);
    const expected = ping('10.1.0.5', '10.2.0.5', 63);
    expect(Buffer.from(b.spoke.delivered[0])).toEqual(expected);
    expect(hub.delivered).toEqual([]);
  });

  it.each([
    ['10.1.0.5', '10.2.0.5', 11, '10.8.0.1'],
    ['fd01::5', 'fd02::5', 3, 'fd08::1'],
  ])('answers time exceeded at the last hop: %s', (source, destination, type, from) => {
    const hub = new Hub();
    const { a, b } = twoSites(hub);
    const sent = [1, 0].map((ttl) => packet(source, destination, { ttl, mark: ttl }));
    a.spoke.send(...sent);
    hub.settle();
    expect(b.spoke.delivered).toEqual([]);
    expect(hub.allDrops()).toEqual([['a', DropReason.TtlExceeded, 2]]);
    expect(a.spoke.delivered.map(readIcmpError)).toEqual(
      sent.map((quote) => ({ source: from, destination: source, type, code: 0, mtu: 0, quote })),
    );
  });

  it('without client-to-client the kernel gets what peers send each other, untouched', () => {
    const hub = new Hub({ settings: { clientToClient: false } });
    const { a, b } = twoSites(hub);
    const sent = ping('10.1.0.5', '10.2.0.5', 1);
    a.spoke.send(sent);
    hub.settle();
    expect(hub.delivered.map((bytes) => Buffer.from(bytes))).toEqual([sent]);
    expect(b.spoke.delivered).toEqual([]);
  });

  it('and no redirect of the kernel reaches a peer', () => {
    const hub = new Hub({ settings: { clientToClient: false } });
    const { a } = twoSites(hub);
    const about = packet('10.1.0.5', '10.2.0.5');
    hub.toSend.push(icmpMessage('10.8.0.1', '10.1.0.5', 5, about.subarray(0, 28)));
    hub.toSend.push(icmpMessage('fd08::1', 'fd01::5', 137, Buffer.alloc(32)));
    hub.settle();
    expect(a.spoke.delivered).toEqual([]);
    expect(hub.allDrops()).toEqual([['-', DropReason.Redirect, 2]]);
  });

  it('never sends a packet back where it came from, and says so', () => {
    const hub = new Hub();
    const { a } = twoSites(hub);
    a.spoke.send(packet('10.1.0.5', '10.1.0.6'), packet('fd01::5', 'fd01::6'));
    hub.settle();
    expect(a.spoke.delivered.map(readIcmpError)).toMatchObject([
      { source: '10.8.0.1', destination: '10.1.0.5', type: 3, code: 0 },
      { source: 'fd08::1', destination: 'fd01::5', type: 1, code: 0 },
    ]);
    expect(hub.allDrops()).toEqual([['a', DropReason.Loop, 2]]);
  });

  it('what only the sender’s own default route matches is the kernel’s', () => {
    const hub = new Hub();
    const { a, b } = twoSites(hub);
    hub.route([...SITE_ROUTES, '0.0.0.0/0 a', '::/0 a']);
    a.spoke.send(packet('10.1.0.5', '198.18.0.1'), packet('fd01::5', '2001:db8::1'));
    b.spoke.send(packet('10.2.0.5', '198.18.0.1'));
    hub.settle();
    expect(hub.delivered).toHaveLength(2);
    expect(a.spoke.delivered).toHaveLength(1);
    expect(hub.allDrops()).toEqual([]);
  });
});

describe('packets longer than the next peer takes', () => {
  const small = { tunMtu: 1300 };

  it.each([
    ['10.2.0.5', LAN_HOST, '10.2.0.5', 3, 4],
    ['fd02::5', 'fd99::1', 'fd08::1', 2, 0],
  ])('tell the kernel’s sender the MTU: %s', (destination, source, from, type, code) => {
    const hub = new Hub();
    const { b } = twoSites(hub, {}, small);
    const fits = packet(source, destination, { length: 1300 });
    const sent = packet(source, destination, { length: 1301 });
    hub.toSend.push(fits, sent);
    hub.settle();
    expect(b.spoke.delivered).toEqual([Uint8Array.from(fits)]);
    expect(hub.allDrops()).toEqual([['b', DropReason.TooBig, 1]]);
    const [error] = hub.delivered.map(readIcmpError);
    expect(error).toMatchObject({ source: from, destination: source, type, code, mtu: 1300 });
    expect(error.quote).toEqual(sent.subarray(0, error.quote.length));
    expect(hub.delivered[0].length).toBe(type === 3 ? 576 : 1280);
  });

  it.each([
    ['10.2.0.5', '10.1.0.5', 3, 4],
    ['fd02::5', 'fd01::5', 2, 0],
  ])('tell the peer’s sender the MTU: %s', (destination, source, type, code) => {
    const hub = new Hub();
    const { a, b } = twoSites(hub, {}, small);
    const sent = packet(source, destination, { length: 1400 });
    a.spoke.send(sent);
    hub.settle();
    expect(b.spoke.delivered).toEqual([]);
    expect(hub.allDrops()).toEqual([['a', DropReason.TooBig, 1]]);
    const [error] = a.spoke.delivered.map(readIcmpError);
    expect(error).toMatchObject({ destination: source, type, code, mtu: 1300 });
    // As it was received, the hop limit included.
    expect(error.quote).toEqual(sent.subarray(0, error.quote.length));
  });

  it('whose TTL ends here too are answered with time exceeded', () => {
    const hub = new Hub();
    const { a } = twoSites(hub, {}, small);
    a.spoke.send(packet('10.1.0.5', '10.2.0.5', { length: 1400, ttl: 1 }));
    hub.settle();
    expect(hub.allDrops()).toEqual([['a', DropReason.TtlExceeded, 1]]);
  });

  it.each(['tun', 'a'] as const)(
    'become fragments that reassemble when their sender allows it: from %s',
    (from) => {
      const hub = new Hub();
      const { a, b } = twoSites(hub, {}, { tunMtu: 576 });
      const source = from === 'tun' ? LAN_HOST : '10.1.0.5';
      const sent = packet(source, '10.2.0.5', { length: 1500, mark: 77, mayFragment: true });
      if (from === 'tun') hub.toSend.push(sent);
      else a.spoke.send(sent);
      hub.settle();
      const fragments = b.spoke.delivered.map((bytes) => Buffer.from(bytes));
      expect(fragments.map(({ length }) => length)).toEqual([572, 572, 396]);
      const whole = Buffer.concat([sent.subarray(0, 20), ...fragments.map((bytes) => bytes.subarray(20))]);
      if (from === 'a') sent[8]--;
      expect(whole.subarray(20)).toEqual(sent.subarray(20));
      expect(fragments.map((bytes) => bytes.readUInt16BE(6))).toEqual([0x2000, 0x2000 | 69, 138]);
      for (const fragment of fragments) expect(fragment[8]).toBe(sent[8]);
      expect(hub.allDrops()).toEqual([]);
    },
  );

  it('never write beyond a buffer, even when a peer’s MTU is above the device’s', () => {
    const hub = new Hub();
    const { a, b } = twoSites(hub, { tunMtu: 8000 }, { tunMtu: 4000 });
    const long = packet('10.1.0.5', '10.2.0.5', { length: 6000, mayFragment: true, mark: 5 });
    const neighbours = Array.from({ length: 4 }, (_, i) =>
      packet('10.1.0.5', '10.2.0.6', { mark: i, length: 1400 }),
    );
    a.spoke.send(neighbours[0], neighbours[1], long, neighbours[2], neighbours[3]);
    hub.settle();
    const others = b.spoke.delivered.filter((bytes) => bytes[19] === 6);
    expect(others).toHaveLength(4);
    const pieces = b.spoke.delivered
      .filter((bytes) => bytes[19] === 5)
      .map((bytes) => Buffer.from(bytes.subarray(20)));
    expect(Buffer.concat(pieces)).toEqual(long.subarray(20));
  });
});

describe('super-packets of the kernel', () => {
  const DATA = Buffer.from(Array.from({ length: 6000 }, (_, i) => (i * 7) & 0xff));
  const SEGMENT = 1448;

  /** What the peers get of one super-packet to each. */
  function send(mayFragment: boolean) {
    const hub = new Hub();
    const sites = twoSites(hub, {}, { tunMtu: 1300 });
    const waiting = ['10.1.0.5', '10.2.0.5'].map((destination) => {
      const id = mayFragment ? { fragment: { offset: 0, more: false, id: 9 } } : {};
      return ipPacket(
        { source: LAN_HOST, destination, ...id },
        tcp({ sourcePort: 80, destinationPort: 5000, data: DATA }),
      );
    });
    const readBatch = hub.tun.readBatch.bind(hub.tun);
    hub.tun.source = (bytes, offset) => {
      const next = waiting.shift();
      if (next !== undefined) bytes.set(next, offset);
      return next?.length ?? 0;
    };
    hub.tun.readBatch = (batch, budget) => {
      const first = batch.count;
      const read = readBatch(batch, budget);
      batch.gsoSize.fill(SEGMENT, first, first + read);
      batch.transport.fill(20, first, first + read);
      return read;
    };
    hub.settle();
    return { hub, ...sites };
  }

  const payload = (packets: readonly Uint8Array[]) =>
    Buffer.concat(packets.map((bytes) => bytes.subarray(40)));

  it('are cut for the peer they go to; a smaller MTU is told once', () => {
    const { hub, a, b } = send(false);
    expect(a.spoke.delivered.map(({ length }) => length)).toEqual([1488, 1488, 1488, 1488, 248]);
    expect(payload(a.spoke.delivered)).toEqual(DATA);
    expect(b.spoke.delivered).toEqual([]);
    expect(hub.allDrops()).toEqual([['b', DropReason.TooBig, 1]]);
    expect(hub.delivered.map(readIcmpError)).toMatchObject([{ type: 3, code: 4, mtu: 1300 }]);
  });

  it('are cut shorter when their sender allows it', () => {
    const { hub, a, b } = send(true);
    expect(payload(a.spoke.delivered)).toEqual(DATA);
    expect(b.spoke.delivered.map(({ length }) => length)).toEqual([1300, 1300, 1300, 1300, 1000]);
    expect(payload(b.spoke.delivered)).toEqual(DATA);
    for (const bytes of b.spoke.delivered) expect(tcpSum(bytes)).toBe(0xffff);
    expect(hub.allDrops()).toEqual([]);
    expect(hub.device.get(Counter.TunReadPackets)).toBe(10);
    expect(b.counters.get(Counter.TunReadPackets)).toBe(5);
  });
});

describe('SYNs announce no more than both paths carry', () => {
  const rows: [string, number, number, string, string, number][] = [
    ['peer to kernel', 1200, 0, '10.1.0.5', '10.8.0.1', 1200],
    ['kernel to peer', 1200, 0, LAN_HOST, '10.1.0.5', 1200],
    ['peer to peer, the sender’s lower', 1200, 1300, '10.1.0.5', '10.2.0.5', 1200],
    ['peer to peer, the receiver’s lower', 1300, 1200, '10.1.0.5', '10.2.0.5', 1200],
    ['peer to peer, only the receiver’s', 0, 1200, '10.1.0.5', '10.2.0.5', 1200],
    ['never raised', 1300, 1400, '10.1.0.5', '10.2.0.5', 1250],
    ['IPv6 has 20 bytes less', 1200, 0, 'fd01::5', 'fd08::1', 1180],
  ];
  it.each(rows)('%s', (name, mssA, mssB, source, destination, expected) => {
    const hub = new Hub();
    const { a, b } = twoSites(hub, { mss: mssA }, { mss: mssB });
    const sent = syn(source, destination, name === 'never raised' ? 1250 : 1460);
    if (source === LAN_HOST) hub.toSend.push(sent);
    else a.spoke.send(sent);
    hub.settle();
    const arrived = [...hub.delivered, ...a.spoke.delivered, ...b.spoke.delivered];
    expect(arrived.map(mssOf)).toEqual([expected]);
  });
});
