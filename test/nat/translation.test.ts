import { describe as group, expect, test } from 'vitest';
import {
  ACK,
  address,
  checksumsAreRight,
  dnat,
  echo,
  NatLab,
  none,
  PEER_A,
  PEER_B,
  range,
  snat,
  SYN,
  SYN_ACK,
  tcpFrom,
  udpFrom,
  ZONE_TUN,
} from '../support/nat.ts';

const MASQUERADE = snat({ from: '10.8.0.0/24' }, range('172.16.0.2'), { egress: 'eth1' });
const ALIAS = snat({ from: '10.8.0.0/24' }, address('172.16.0.9'));
const INTO_TUNNEL = snat({ from: '172.16.0.0/24' }, address('10.8.0.1'), { out: 'peers' });

group('source translation', () => {
  test('gives a client of the range a port of the range, and its answers back', () => {
    const lab = new NatLab([MASQUERADE]);
    const out = lab.send(tcpFrom('10.8.0.2:5000', '172.16.0.3:80', SYN), PEER_A, ZONE_TUN);
    const port = out.packet.readUInt16BE(20);
    expect(out.text).toBe(`172.16.0.2:${port} > 172.16.0.3:80`);
    expect(port).toBeGreaterThanOrEqual(61000);
    expect(port).toBeLessThanOrEqual(65534);
    expect(checksumsAreRight(out.packet)).toBe(true);
    const back = lab.send(tcpFrom('172.16.0.3:80', `172.16.0.2:${port}`, SYN_ACK), ZONE_TUN, PEER_A);
    expect(back.text).toBe('172.16.0.3:80 > 10.8.0.2:5000');
    expect(back.routedTo).toBe('10.8.0.2');
    expect(checksumsAreRight(back.packet)).toBe(true);
  });

  test('keeps the port of a client of an alias where it is free, and its parity where it is not', () => {
    const lab = new NatLab([ALIAS]);
    const first = lab.send(udpFrom('10.8.0.2:5001', '172.16.0.3:53'), PEER_A, ZONE_TUN);
    expect(first.text).toBe('172.16.0.9:5001 > 172.16.0.3:53');
    const second = lab.send(udpFrom('10.8.0.3:5001', '172.16.0.3:53'), PEER_B, ZONE_TUN);
    const port = second.packet.readUInt16BE(20);
    expect(port).not.toBe(5001);
    expect(port % 2).toBe(1);
  });

  test('two hosts of the LAN with the same port reach the same peer as the tunnel address', () => {
    const lab = new NatLab([INTO_TUNNEL]);
    const first = lab.send(tcpFrom('172.16.0.3:4000', '10.8.0.2:80', SYN), ZONE_TUN, PEER_A);
    const second = lab.send(tcpFrom('172.16.0.4:4000', '10.8.0.2:80', SYN), ZONE_TUN, PEER_A);
    expect(first.text).toBe('10.8.0.1:4000 > 10.8.0.2:80');
    expect(second.text).toMatch(/^10\.8\.0\.1:\d+ > 10\.8\.0\.2:80$/);
    expect(second.text).not.toBe(first.text);
    const port = second.packet.readUInt16BE(20);
    const back = lab.send(tcpFrom('10.8.0.2:80', `10.8.0.1:${port}`, SYN_ACK), PEER_A, ZONE_TUN);
    expect(back.text).toBe('10.8.0.2:80 > 172.16.0.4:4000');
  });

  test("the gateway's own packets from the tunnel address do not share a port with translated ones", () => {
    const lab = new NatLab([INTO_TUNNEL]);
    lab.send(tcpFrom('172.16.0.3:4000', '10.8.0.2:80', SYN), ZONE_TUN, PEER_A);
    const own = lab.send(tcpFrom('10.8.0.1:4000', '10.8.0.2:80', SYN), ZONE_TUN, PEER_A);
    const port = own.packet.readUInt16BE(20);
    expect(port).not.toBe(4000);
    const back = lab.send(tcpFrom('10.8.0.2:80', `10.8.0.1:${port}`, SYN_ACK), PEER_A, ZONE_TUN);
    expect(back.text).toBe('10.8.0.2:80 > 10.8.0.1:4000');
  });

  test('answers of a connection that was not translated are not translated either', () => {
    const lab = new NatLab([INTO_TUNNEL]);
    const asked = lab.send(tcpFrom('10.8.0.2:5000', '172.16.0.3:22', SYN), PEER_A, ZONE_TUN);
    expect(asked.text).toBe('10.8.0.2:5000 > 172.16.0.3:22');
    const answer = lab.send(tcpFrom('172.16.0.3:22', '10.8.0.2:5000', SYN_ACK), ZONE_TUN, PEER_A);
    expect(answer.text).toBe('172.16.0.3:22 > 10.8.0.2:5000');
  });

  test('what no rule can touch passes without a session', () => {
    const lab = new NatLab([INTO_TUNNEL]);
    const sent = lab.send(udpFrom('10.8.0.2:5000', '10.9.0.3:53'), PEER_A, PEER_B);
    expect(sent.text).toBe('10.8.0.2:5000 > 10.9.0.3:53');
    expect(lab.nat.list(lab.now).sessions).toHaveLength(0);
  });

  test('nat none exempts from the rules behind it', () => {
    const lab = new NatLab([none({ from: '10.8.0.0/24', to: '172.16.5.0/24' }), ALIAS]);
    expect(lab.send(udpFrom('10.8.0.2:5000', '172.16.5.1:53'), PEER_A, ZONE_TUN).text).toBe(
      '10.8.0.2:5000 > 172.16.5.1:53',
    );
    expect(lab.send(udpFrom('10.8.0.2:5000', '172.16.6.1:53'), PEER_A, ZONE_TUN).text).toBe(
      '172.16.0.9:5000 > 172.16.6.1:53',
    );
  });

  test('nat none exempts from no rule in front of it', () => {
    const lab = new NatLab([ALIAS, none({ from: '10.8.0.0/24', to: '172.16.5.0/24' })]);
    expect(lab.send(udpFrom('10.8.0.2:5000', '172.16.5.1:53'), PEER_A, ZONE_TUN).text).toBe(
      '172.16.0.9:5000 > 172.16.5.1:53',
    );
  });

  test('a rule for an interface asks once per session where the kernel sends it', () => {
    const lab = new NatLab([MASQUERADE], { egressOf: (to) => (to.startsWith('172.16.') ? 'eth1' : 'eth0') });
    for (let i = 0; i < 3; i++) lab.send(udpFrom('10.8.0.2:5000', '172.16.0.3:53'), PEER_A, ZONE_TUN);
    expect(lab.egressQuestions).toBe(1);
    for (let i = 0; i < 3; i++) {
      const elsewhere = lab.send(udpFrom('10.8.0.2:5000', '203.0.113.9:53'), PEER_A, ZONE_TUN);
      expect(elsewhere.text).toBe('10.8.0.2:5000 > 203.0.113.9:53');
    }
    expect(lab.egressQuestions).toBe(2);
    expect(lab.nat.rules()).toMatchObject([{ id: 0, sessions: 1, otherEgress: 1 }]);
  });

  test('an interface without an address lets nothing out', () => {
    const lab = new NatLab([snat({ from: '10.8.0.0/24' }, undefined, { egress: 'eth1' })]);
    expect(lab.send(udpFrom('10.8.0.2:5000', '172.16.0.3:53'), PEER_A, ZONE_TUN).text).toBe('NatNoPort');
  });

  test('pings of the range have random identifiers, go through the raw socket, and find back', () => {
    const lab = new NatLab([MASQUERADE]);
    const out = lab.send(echo('10.8.0.2', '172.16.0.3', 8, 77), PEER_A, ZONE_TUN);
    const id = out.packet.readUInt16BE(24);
    expect(out.text).toBe(`172.16.0.2 > 172.16.0.3 icmp 8 id ${id}`);
    expect(id).toBeGreaterThanOrEqual(61000);
    expect(out.viaIcmpSocket).toBe(true);
    const back = lab.send(echo('172.16.0.3', '172.16.0.2', 0, id), -2, PEER_A);
    expect(back.text).toBe('172.16.0.3 > 10.8.0.2 icmp 0 id 77');
    expect(checksumsAreRight(back.packet)).toBe(true);
  });
});

group('destination translation', () => {
  test('one line for a PREROUTING rule, answers included', () => {
    const lab = new NatLab([
      dnat({ from: '192.168.0.0/16', protocol: 6, ports: [80, 80] }, '10.0.1.26', undefined, {
        from: 'peers',
      }),
    ]);
    const asked = lab.send(tcpFrom('192.168.7.7:5000', '10.0.0.1:80', SYN), PEER_A, ZONE_TUN);
    expect(asked.text).toBe('192.168.7.7:5000 > 10.0.1.26:80');
    expect(asked.routedTo).toBe('10.0.1.26');
    const answer = lab.send(tcpFrom('10.0.1.26:80', '192.168.7.7:5000', SYN_ACK), ZONE_TUN, PEER_A);
    expect(answer.text).toBe('10.0.0.1:80 > 192.168.7.7:5000');
    expect(lab.send(tcpFrom('192.168.7.7:5000', '10.0.0.1:22', SYN), PEER_A, ZONE_TUN).text).toBe(
      '192.168.7.7:5000 > 10.0.0.1:22',
    );
  });

  test('with snat the source changes too', () => {
    const lab = new NatLab([
      dnat({ to: '172.16.0.2/32', protocol: 6, ports: [80, 80] }, '172.16.0.3', 7777, {
        from: 'peers',
        snat: range('172.16.0.2'),
      }),
    ]);
    const asked = lab.send(tcpFrom('10.8.0.2:5000', '172.16.0.2:80', SYN), PEER_A, ZONE_TUN);
    const port = asked.packet.readUInt16BE(20);
    expect(asked.text).toBe(`172.16.0.2:${port} > 172.16.0.3:7777`);
    const answer = lab.send(tcpFrom('172.16.0.3:7777', `172.16.0.2:${port}`, SYN_ACK), ZONE_TUN, PEER_A);
    expect(answer.text).toBe('172.16.0.2:80 > 10.8.0.2:5000');
  });

  const FORWARD = dnat({ to: '203.0.113.2/32', protocol: 6, ports: [8080, 8080] }, '10.8.0.3', 80);

  test('a port forwarded into the VPN shows the real client', () => {
    const lab = new NatLab([FORWARD]);
    const asked = lab.send(tcpFrom('198.51.100.7:5000', '203.0.113.2:8080', SYN), ZONE_TUN, PEER_B);
    expect(asked.text).toBe('198.51.100.7:5000 > 10.8.0.3:80');
    const answer = lab.send(tcpFrom('10.8.0.3:80', '198.51.100.7:5000', SYN_ACK), PEER_B, ZONE_TUN);
    expect(answer.text).toBe('203.0.113.2:8080 > 198.51.100.7:5000');
  });

  test('hairpin: one peer reaches another by the forwarded port, which sees the external address', () => {
    const lab = new NatLab([FORWARD]);
    const asked = lab.send(tcpFrom('10.8.0.2:5000', '203.0.113.2:8080', SYN), PEER_A, PEER_B);
    expect(asked.text).toBe('203.0.113.2:5000 > 10.8.0.3:80');
    const answer = lab.send(tcpFrom('10.8.0.3:80', '203.0.113.2:5000', SYN_ACK), PEER_B, PEER_A);
    expect(answer.text).toBe('203.0.113.2:8080 > 10.8.0.2:5000');
    expect(answer.routedTo).toBe('10.8.0.2');
    const then = lab.send(tcpFrom('10.8.0.2:5000', '203.0.113.2:8080', ACK), PEER_A, PEER_B);
    expect(then.text).toBe('203.0.113.2:5000 > 10.8.0.3:80');
  });

  test('hairpin between two mappings opens when both have sent (RFC 4787 REQ-9)', () => {
    const lab = new NatLab([ALIAS]);
    lab.send(udpFrom('10.8.0.2:5000', '198.51.100.7:3478'), PEER_A, ZONE_TUN);
    lab.send(udpFrom('10.8.0.3:6000', '198.51.100.7:3478'), PEER_B, ZONE_TUN);
    const early = () => lab.send(udpFrom('10.8.0.2:5000', '172.16.0.9:6000'), PEER_A, PEER_B).text;
    expect(early()).toBe('NatFiltered');
    expect(early()).toBe('NatFiltered');
    expect(lab.send(udpFrom('10.8.0.3:6000', '172.16.0.9:5000'), PEER_B, PEER_A).text).toBe(
      '172.16.0.9:6000 > 10.8.0.2:5000',
    );
    expect(early()).toBe('172.16.0.9:5000 > 10.8.0.3:6000');
  });
});

group('unmatched packets', () => {
  test.each([
    ['reinject', 'pass', true],
    ['drop', 'NatFiltered', false],
  ] as const)('at a shared address with nat-unmatched %s', (unmatched, reason, reinject) => {
    const lab = new NatLab([MASQUERADE], { settings: { unmatched } });
    const sent = lab.send(tcpFrom('172.16.0.3:5000', '172.16.0.2:61000', SYN), ZONE_TUN, ZONE_TUN);
    expect(sent).toMatchObject({ reason, reinject });
  });

  test('at an alias address there is no answer, but to a ping', () => {
    const lab = new NatLab([ALIAS]);
    expect(lab.send(tcpFrom('172.16.0.3:5000', '172.16.0.9:80', SYN), ZONE_TUN, ZONE_TUN).text).toBe(
      'NatFiltered',
    );
    const ping = lab.send(echo('172.16.0.3', '172.16.0.9', 8, 5), ZONE_TUN, ZONE_TUN);
    expect(ping.answered).toBe(true);
    expect(ping.text).toBe('172.16.0.9 > 172.16.0.3 icmp 0 id 5');
    expect(ping.routedTo).toBe('172.16.0.3');
    expect(checksumsAreRight(ping.packet)).toBe(true);
  });

  test('copies of ICMP messages that are not ours are consumed, the kernel has them', () => {
    const lab = new NatLab([MASQUERADE]);
    expect(lab.send(echo('172.16.0.3', '172.16.0.2', 0, 5), -2, PEER_A).reason).toBe('consumed');
  });

  test("peers reach the gateway's own addresses", () => {
    const lab = new NatLab([MASQUERADE], { egressOf: () => 'lo' });
    const sent = lab.send(tcpFrom('10.8.0.2:5000', '172.16.0.2:22', SYN), PEER_A, ZONE_TUN);
    expect(sent.text).toBe('10.8.0.2:5000 > 172.16.0.2:22');
    const answer = lab.send(tcpFrom('172.16.0.2:22', '10.8.0.2:5000', SYN_ACK), ZONE_TUN, PEER_A);
    expect(answer.text).toBe('172.16.0.2:22 > 10.8.0.2:5000');
  });
});
