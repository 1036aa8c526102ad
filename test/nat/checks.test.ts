/** What RFC 4787, 5382 and 5508 ask of a NAT, as far as it needs no network. */
import { describe as group, expect, test } from 'vitest';
import { formatIpv4 } from '../../src/packet/address.ts';
import {
  ACK,
  address,
  checksumsAreRight,
  dnat,
  echo,
  errorAbout,
  FIN,
  NatLab,
  PEER_A,
  PEER_B,
  range,
  RST,
  snat,
  SYN,
  SYN_ACK,
  tcpFrom,
  udpFrom,
  ZONE_TUN,
  type LabOptions,
} from '../support/nat.ts';

const ALIAS = snat({ from: '10.8.0.0/16' }, address('172.16.0.9'));
const RANGE = snat({ from: '10.8.0.0/16' }, range('172.16.0.2'));
const CLIENT = '10.8.0.2:5000';
const SERVER = '172.16.0.3:80';
const OUTSIDE = '172.16.0.9:5000';

/** A lab with one translated flow, whose packets are sent by `out` and `back`. */
function tcpLab(options: LabOptions = {}) {
  const lab = new NatLab([ALIAS], options);
  const out = (flags: number) => lab.send(tcpFrom(CLIENT, SERVER, flags), PEER_A, ZONE_TUN).text;
  const back = (flags: number) => lab.send(tcpFrom(SERVER, OUTSIDE, flags), ZONE_TUN, PEER_A).text;
  const establish = () => {
    out(SYN);
    back(SYN_ACK);
    out(ACK);
  };
  const state = () => lab.nat.list(lab.now).sessions[0]?.state;
  return { lab, out, back, establish, state };
}

function udpLab(options: LabOptions & { port?: number } = {}) {
  const lab = new NatLab([ALIAS], options);
  const server = `172.16.0.3:${options.port ?? 7777}`;
  const out = () => lab.send(udpFrom(CLIENT, server), PEER_A, ZONE_TUN).text;
  const back = (from = server) => lab.send(udpFrom(from, OUTSIDE), ZONE_TUN, PEER_A).text;
  const alive = () => lab.nat.list(lab.now).sessions.length > 0;
  return { lab, out, back, alive };
}

group('timers', () => {
  test('UDP with both directions seen lives 299 s and is gone after 301 s', () => {
    const { lab, out, back, alive } = udpLab();
    out();
    back();
    expect([lab.advance(299) && alive(), lab.advance(2) && alive()]).toEqual([true, false]);
  });

  test('UDP in one direction lives 119 s and is gone after 121 s', () => {
    const { lab, out, alive } = udpLab();
    out();
    expect([lab.advance(119) && alive(), lab.advance(2) && alive()]).toEqual([true, false]);
  });

  test.each([53, 123])('UDP to port %i is gone 31 s after its answer', (port) => {
    const { lab, out, back, alive } = udpLab({ port });
    out();
    back();
    expect([lab.advance(29) && alive(), lab.advance(2) && alive()]).toEqual([true, false]);
  });

  test('an established TCP session lives 7439 s and is gone after 7441 s', () => {
    const { lab, establish, state } = tcpLab();
    establish();
    expect(lab.advance(7439) && state()).toBe('established');
    expect(lab.advance(2) && state()).toBe(undefined);
  });

  test('a handshake that is not finished is gone after 241 s', () => {
    const { lab, out, state } = tcpLab();
    out(SYN);
    expect(lab.advance(239) && state()).toBe('syn-sent');
    expect(lab.advance(2) && state()).toBe(undefined);
  });

  test('a reset session is gone after 241 s if nothing follows', () => {
    const { lab, establish, back, state } = tcpLab();
    establish();
    back(RST);
    expect(lab.advance(239) && state()).toBe('reset');
    expect(lab.advance(2) && state()).toBe(undefined);
  });

  test('data after a reset revive the session', () => {
    const { lab, establish, out, back, state } = tcpLab();
    establish();
    back(RST);
    lab.advance(100);
    expect(out(ACK)).toBe(`${OUTSIDE} > ${SERVER}`);
    expect(state()).toBe('established');
    expect(lab.advance(7000) && state()).toBe('established');
  });

  test('a session closed by both sides is gone after 241 s, whatever still comes', () => {
    const { lab, establish, out, back, state } = tcpLab();
    establish();
    out(FIN);
    expect(state()).toBe('fin-wait');
    back(FIN);
    lab.advance(200);
    out(ACK);
    expect(state()).toBe('closing');
    expect(lab.advance(41) && state()).toBe(undefined);
  });

  test('an ICMP query lives 59 s and is gone after 61 s', () => {
    const lab = new NatLab([ALIAS]);
    lab.send(echo('10.8.0.2', '172.16.0.3', 8, 7), PEER_A, ZONE_TUN);
    lab.send(echo('172.16.0.3', '172.16.0.9', 0, 7), ZONE_TUN, PEER_A);
    expect(lab.advance(59).nat.list(lab.now).sessions).toHaveLength(1);
    expect(lab.advance(2).nat.list(lab.now).sessions).toHaveLength(0);
  });

  test('a freed port is not reused for 120 s, but by the host that had it', () => {
    const lab = new NatLab([
      snat({ from: '10.8.0.0/16' }, address('172.16.0.9', { ports: { first: 7000, last: 7000 } })),
    ]);
    const ask = (host: string) => lab.send(udpFrom(`${host}:5000`, SERVER), PEER_A, ZONE_TUN).text;
    const answer = () => lab.send(udpFrom(SERVER, '172.16.0.9:7000'), ZONE_TUN, PEER_A);
    const idle = lab.settings.timeouts.udp;
    expect(ask('10.8.0.2')).toBe('172.16.0.9:7000 > 172.16.0.3:80');
    answer();
    lab.advance(idle);
    expect(lab.nat.list(lab.now).sessions).toHaveLength(0);
    expect(lab.advance(118) && ask('10.8.0.3')).toBe('NatNoPort');
    // A search in vain is not repeated in the same second.
    lab.advance(1);
    expect(ask('10.8.0.2')).toBe('172.16.0.9:7000 > 172.16.0.3:80');
    answer();
    lab.advance(idle + 120);
    expect(ask('10.8.0.3')).toBe('172.16.0.9:7000 > 172.16.0.3:80');
    // Nobody has answered: nobody knows of it.
    lab.advance(120);
    expect(ask('10.8.0.2')).toBe('172.16.0.9:7000 > 172.16.0.3:80');
  });
});

group('what does not keep a session alive', () => {
  test('inbound UDP to a mapping that was only used outbound', () => {
    const { lab, out, back, alive } = udpLab();
    out();
    for (let i = 0; i < 12; i++) {
      lab.advance(10);
      // From another port of the host that was sent to: the filter lets it in.
      const text = back('172.16.0.3:9999');
      if (i < 11) expect(text).toBe(`172.16.0.3:9999 > ${CLIENT}`);
    }
    expect(alive()).toBe(false);
  });

  test('inbound UDP to a forwarded port that nobody answers', () => {
    const lab = new NatLab([
      dnat({ to: '203.0.113.2/32', protocol: 17, ports: [500, 500] }, '10.8.0.2', 500),
    ]);
    const knock = () => lab.send(udpFrom('198.51.100.7:500', '203.0.113.2:500'), ZONE_TUN, PEER_A);
    knock();
    lab.advance(100);
    knock();
    lab.advance(19);
    expect(lab.nat.list(lab.now).sessions).toMatchObject([{ ageSec: 119 }]);
    expect(lab.advance(1).nat.list(lab.now).sessions).toHaveLength(0);
  });

  test('an ICMP error, in either direction', () => {
    const { lab, out, alive } = udpLab();
    out();
    lab.advance(100);
    const asSent = udpFrom(OUTSIDE, '172.16.0.3:7777');
    expect(lab.send(errorAbout('172.16.0.3', '172.16.0.9', asSent), ZONE_TUN, PEER_A).reason).toBe('pass');
    const asReceived = udpFrom('172.16.0.3:7777', CLIENT);
    expect(lab.send(errorAbout('10.8.0.2', '172.16.0.3', asReceived), PEER_A, ZONE_TUN).reason).toBe('pass');
    expect(lab.advance(21) && alive()).toBe(false);
  });

  test('an outbound RST: it may shorten what is left, never lengthen it', () => {
    const { lab, establish, out, state } = tcpLab();
    establish();
    lab.advance(7400);
    out(RST);
    expect(lab.advance(39) && state()).toBe('reset');
    expect(lab.advance(2) && state()).toBe(undefined);
  });
});

group('filtering and mapping', () => {
  test('a third host at the mapped UDP port is not let in, with eif it is', () => {
    for (const [udpFiltering, text] of [
      ['adf', 'NatFiltered'],
      ['eif', `203.0.113.9:7777 > ${CLIENT}`],
    ] as const) {
      const { out, back } = udpLab({ settings: { udpFiltering } });
      out();
      expect(back('203.0.113.9:7777')).toBe(text);
    }
  });

  test('two destinations see the same external port, and every inside port its own', () => {
    const lab = new NatLab([RANGE]);
    const portFor = (source: string, destination: string) =>
      lab.send(udpFrom(source, destination), PEER_A, ZONE_TUN).packet.readUInt16BE(20);
    const port = portFor('10.8.0.2:5000', '172.16.0.3:7777');
    expect(portFor('10.8.0.2:5000', '203.0.113.9:53')).toBe(port);
    expect(portFor('10.8.0.2:5001', '172.16.0.3:7777')).not.toBe(port);
  });

  test('TCP from outside needs a session, whoever it is from', () => {
    const { lab, establish } = tcpLab();
    establish();
    expect(lab.send(tcpFrom('172.16.0.3:81', OUTSIDE, SYN), ZONE_TUN, PEER_A).text).toBe('NatFiltered');
  });

  test('with nat-mapping tcp eim two destinations see the same TCP port', () => {
    const lab = new NatLab([RANGE], { settings: { tcpMapping: 'eim' } });
    const ports = ['172.16.0.3:80', '172.16.0.4:80'].map((server) =>
      lab.send(tcpFrom(CLIENT, server, SYN), PEER_A, ZONE_TUN).packet.readUInt16BE(20),
    );
    expect(ports[0]).toBe(ports[1]);
  });
});

test('a table full of established sessions refuses new flows and evicts none', () => {
  const lab = new NatLab([ALIAS], { settings: { maxSessions: 32 } });
  for (let i = 0; i < 32; i++) {
    const [client, server] = [`10.8.1.${i}:5000`, `172.16.1.${i}:80`];
    const out = lab.send(tcpFrom(client, server, SYN), PEER_A, ZONE_TUN);
    const [outside] = out.text.split(' ');
    lab.send(tcpFrom(server, outside, SYN_ACK), ZONE_TUN, PEER_A);
    lab.send(tcpFrom(client, server, ACK), PEER_A, ZONE_TUN);
  }
  expect(lab.send(tcpFrom('10.8.2.1:5000', SERVER, SYN), PEER_A, ZONE_TUN).text).toBe('NatTableFull');
  expect(lab.nat.stats()).toMatchObject({ sessions: 32, states: { 'tcp established': 32 } });
});

test('UDP mappings use every port of the range, TCP goes on by sharing them', () => {
  const lab = new NatLab([RANGE], { settings: { maxSessions: 16384, perHost: 16384 } });
  const used = new Set<number>();
  for (let i = 0; i < 4535; i++) {
    const out = lab.send(udpFrom(`10.8.${i >> 8}.${i & 255}:5000`, SERVER), PEER_A, ZONE_TUN);
    expect(out.reason).toBe('pass');
    const port = out.packet.readUInt16BE(20);
    used.add(port);
    lab.send(udpFrom(SERVER, `172.16.0.2:${port}`), ZONE_TUN, PEER_A);
  }
  // 61000 to 65534, both included.
  expect(used.size).toBe(65534 - 61000 + 1);
  expect(lab.guarded.size).toBe(used.size);
  expect(lab.send(udpFrom('10.8.200.1:5000', SERVER), PEER_A, ZONE_TUN).text).toBe('NatNoPort');
  for (let i = 0; i < 5000; i++) {
    const server = `${formatIpv4(0xc6336400 + i)}:80`;
    expect(lab.send(tcpFrom(CLIENT, server, SYN), PEER_A, ZONE_TUN).reason).toBe('pass');
  }
});

group('TCP handshakes out of the ordinary', () => {
  test('a simultaneous open succeeds (RFC 5382 REQ-2a)', () => {
    const { out, back, state } = tcpLab();
    out(SYN);
    expect(back(SYN)).toBe(`${SERVER} > ${CLIENT}`);
    expect(out(SYN_ACK)).toBe(`${OUTSIDE} > ${SERVER}`);
    expect(back(SYN_ACK)).toBe(`${SERVER} > ${CLIENT}`);
    expect(state()).toBe('established');
  });

  test('the same 5-tuple opens a new connection out of TIME_WAIT', () => {
    const { establish, out, back, state } = tcpLab();
    establish();
    out(FIN);
    back(FIN);
    out(ACK);
    expect(state()).toBe('closing');
    expect(out(SYN)).toBe(`${OUTSIDE} > ${SERVER}`);
    expect(state()).toBe('syn-sent');
    back(SYN_ACK);
    out(ACK);
    expect(state()).toBe('established');
  });
});

group('ICMP errors', () => {
  const sent = () => tcpFrom(OUTSIDE, SERVER, SYN, 40);
  const setUp = () => {
    const { lab, establish } = tcpLab();
    establish();
    return lab;
  };

  test.each([
    ['the whole packet', {}],
    ['8 bytes of TCP', { quote: 28 }],
  ])('about a session are translated, with %s quoted', (_, shape) => {
    const lab = setUp();
    const error = errorAbout('172.16.0.77', '172.16.0.9', sent(), { type: 3, code: 4, mtu: 1300, ...shape });
    const got = lab.send(error, ZONE_TUN, PEER_A);
    expect(got.text).toBe(`172.16.0.77 > 10.8.0.2 icmp 3/4 (${CLIENT} > ${SERVER})`);
    expect(got.routedTo).toBe('10.8.0.2');
    expect(got.packet.readUInt16BE(26)).toBe(1300);
    expect(checksumsAreRight(got.packet)).toBe(true);
  });

  test('with IP options in the quote', () => {
    const lab = setUp();
    const packet = sent();
    const options = Buffer.from([1, 1, 1, 0]);
    const quoted = Buffer.concat([packet.subarray(0, 20), options, packet.subarray(20)]);
    quoted[0] = 0x46;
    quoted.writeUInt16BE(quoted.length, 2);
    quoted.writeUInt16BE(0, 10);
    let sum = 0;
    for (let i = 0; i < 24; i += 2) sum += quoted.readUInt16BE(i);
    quoted.writeUInt16BE(0xffff - ((sum & 0xffff) + (sum >>> 16)), 10);
    const got = lab.send(errorAbout('172.16.0.77', '172.16.0.9', quoted), ZONE_TUN, PEER_A);
    expect(got.text).toBe(`172.16.0.77 > 10.8.0.2 icmp 3/3 (${CLIENT} > ${SERVER})`);
    expect(checksumsAreRight(got.packet)).toBe(true);
  });

  test.each([
    ['a wrong checksum', (error: Buffer) => (error[22] ^= 1), 'IcmpChecksum'],
    ['a wrong checksum in the quoted IP header', (error: Buffer) => fixOuter(error, 28 + 10), 'IcmpChecksum'],
  ])('with %s are dropped', (_, damage, reason) => {
    const lab = setUp();
    const error = errorAbout('172.16.0.77', '172.16.0.9', sent());
    damage(error);
    expect(lab.send(error, ZONE_TUN, PEER_A).text).toBe(reason);
  });

  test('about no session of ours are dropped', () => {
    const lab = setUp();
    const error = errorAbout('172.16.0.77', '172.16.0.9', tcpFrom('172.16.0.9:5001', SERVER, SYN));
    expect(lab.send(error, ZONE_TUN, PEER_A).text).toBe('IcmpUnrelated');
  });

  test('about a packet of somebody else than their receiver are dropped', () => {
    const lab = setUp();
    expect(lab.send(errorAbout('172.16.0.77', '10.8.0.7', sent()), ZONE_TUN, PEER_A).text).toBe(
      'IcmpUnrelated',
    );
  });

  test('from inside hide the inside address, wherever inside they come from', () => {
    const lab = setUp();
    const received = tcpFrom(SERVER, CLIENT, ACK);
    for (const router of ['10.8.0.2', '10.8.0.77']) {
      const got = lab.send(
        errorAbout(router, '172.16.0.3', received, { type: 11, code: 0 }),
        PEER_A,
        ZONE_TUN,
      );
      expect(got.text).toBe(`172.16.0.9 > 172.16.0.3 icmp 11/0 (${SERVER} > ${OUTSIDE})`);
      expect(checksumsAreRight(got.packet)).toBe(true);
    }
  });

  test('from inside about no session do not leave', () => {
    const lab = setUp();
    const received = tcpFrom('172.16.0.3:81', CLIENT, ACK);
    expect(lab.send(errorAbout('10.8.0.2', '172.16.0.3', received), PEER_A, ZONE_TUN).text).toBe(
      'IcmpUnrelated',
    );
  });

  test('about a ping are translated by its identifier', () => {
    const lab = new NatLab([RANGE]);
    const out = lab.send(echo('10.8.0.2', '172.16.0.77', 8, 7), PEER_A, ZONE_TUN);
    const error = errorAbout('172.16.0.2', '172.16.0.2', out.packet, { type: 3, code: 1 });
    const got = lab.send(error, -2, PEER_A);
    expect(got.text).toBe('172.16.0.2 > 10.8.0.2 icmp 3/1 (10.8.0.2 > 172.16.0.77 icmp 8 id 7)');
    expect(checksumsAreRight(got.packet)).toBe(true);
  });

  test('about a packet with both ends translated quote what its sender sent', () => {
    const lab = new NatLab([
      dnat({ to: '172.16.0.9/32', protocol: 6, ports: [8080, 8080] }, '172.16.0.3', 80, { from: 'peers' }),
      ALIAS,
    ]);
    const out = lab.send(tcpFrom(CLIENT, '172.16.0.9:8080', SYN), PEER_A, ZONE_TUN);
    expect(out.text).toBe(`${OUTSIDE} > ${SERVER}`);
    for (const [reporter, shown] of [
      ['172.16.0.3', '172.16.0.9'],
      ['172.16.0.77', '172.16.0.9'],
    ]) {
      const got = lab.send(errorAbout(reporter, '172.16.0.9', out.packet), ZONE_TUN, PEER_A);
      expect(got.text).toBe(`${shown} > 10.8.0.2 icmp 3/3 (${CLIENT} > 172.16.0.9:8080)`);
      expect(checksumsAreRight(got.packet)).toBe(true);
    }
  });

  test('cross a hairpin', () => {
    const lab = new NatLab([
      dnat({ to: '203.0.113.2/32', protocol: 6, ports: [8080, 8080] }, '10.8.0.3', 80),
    ]);
    const out = lab.send(tcpFrom(CLIENT, '203.0.113.2:8080', SYN), PEER_A, PEER_B);
    const got = lab.send(errorAbout('10.8.0.3', '203.0.113.2', out.packet), PEER_B, PEER_A);
    expect(got.text).toBe(`203.0.113.2 > 10.8.0.2 icmp 3/3 (${CLIENT} > 203.0.113.2:8080)`);
    expect(got.routedTo).toBe('10.8.0.2');
  });
});

/** Damages the byte at `offset` of an ICMP error and makes the error's own checksum right again. */
function fixOuter(error: Buffer, offset: number): void {
  error[offset] ^= 0x10;
  error.writeUInt16BE(0, 22);
  let sum = 0;
  for (let i = 20; i < error.length; i += 2) sum += (error[i] << 8) | (error[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  error.writeUInt16BE(0xffff - sum, 22);
}
