/** What `tsvpn check` tells of a gateway. */
import { describe, expect, it } from 'vitest';
import { describeNatLine } from '../../src/config/describe-nat.ts';
import { formatSummary, isPlain, summarise } from '../../src/config/summary.ts';
import { gatewayOf, joined } from '../support/config.ts';

describe('a NAT line in words', () => {
  const rows: readonly [line: string, words: string][] = [
    [
      'nat snat 10.8.0.0/24 out eth1 masquerade',
      "10.8.0.0/24 leaves eth1 as eth1's own address, ports 61000 to 65534",
    ],
    [
      'nat snat 10.8.0.0/24 out eth1 to 172.16.0.9 udp sport 1-1023 dport 53',
      '10.8.0.0/24 (udp from ports 1 to 1023 to port 53) leaves eth1 as 172.16.0.9',
    ],
    ['nat snat 0.0.0.0/0 into tunnel', "anything goes into the tunnel as this end's tunnel address"],
    [
      'nat snat 172.16.0.0/24 into tunnel peer peer',
      "172.16.0.0/24 goes to peer as this end's tunnel address",
    ],
    [
      'nat dnat from peers tcp dport 80 src 192.168.0.0/16 to 10.0.1.26:80',
      'from any peer: 192.168.0.0/16 (tcp to port 80) goes to 10.0.1.26 port 80 instead',
    ],
    [
      'nat dnat in eth0 tcp dport 8080 to 10.8.0.2 snat',
      'arriving at eth0: anything (tcp to port 8080) goes to 10.8.0.2 instead, as if this end had sent it',
    ],
    [
      'nat none 10.8.0.0/24 dst 172.16.5.0/24 proto 50',
      '10.8.0.0/24 (esp to 172.16.5.0/24) keeps its addresses',
    ],
  ];
  for (const [line, words] of rows) {
    it(`${line}: ${words}`, () => {
      const { nat } = gatewayOf([line]);
      expect(describeNatLine(nat.lines[0], nat)).toBe(words);
    });
  }
});

describe('the summary', () => {
  it('is for gateways that have more than a stock tunnel', () => {
    expect(isPlain(gatewayOf(['route 10.1.0.0 255.255.0.0']))).toBe(true);
    expect(isPlain(gatewayOf(['nat none 10.0.0.0/8']))).toBe(false);
    expect(isPlain(gatewayOf(['client-nat snat 10.0.0.0/16 10.1.0.0']))).toBe(false);
  });

  it('names peers, what lies behind each, and rules, with their lines', () => {
    const gateway = joined({
      'hub.conf': [
        'dev tun3',
        'topology subnet',
        'ifconfig 10.8.0.1 255.255.255.0',
        'cipher AES-256-CBC',
        'client-to-client',
        'blackhole 10.99.0.0/16',
        'route 10.98.0.0 255.255.0.0 192.0.2.1',
        'nat none 10.8.0.0/24',
        '<peer>',
        'name siteB',
        'secret b.key',
        'remote 198.51.100.7 1200',
        'peer-address 10.8.0.2',
        'peer-route 10.102.0.0/16 metric 10 no-kernel',
        'allowed-source 10.103.0.0/16',
        'client-nat dnat 10.102.0.0/16 10.0.0.0',
        '</peer>',
        '<peer>',
        'name siteC',
        'secret c.key',
        'lport 1195',
        'allowed-source any',
        '</peer>',
      ],
    });
    expect(formatSummary(summarise(gateway))).toEqual([
      '  device tun3, MTU 1500: 10.8.0.1/24',
      '  peer siteB, 10.8.0.2: listen on all addresses, port 1194; peer 198.51.100.7 port 1200 (hub.conf:9)',
      '    10.102.0.0/16 by `peer-route`, metric 10, no kernel route (hub.conf:14)',
      '    may also send from 10.103.0.0/16',
      '    10.0.0.0/16 at siteB is 10.102.0.0/16 here (hub.conf:16)',
      '  peer siteC: listen on all addresses, port 1195; wait for the peer to speak first (hub.conf:18)',
      '    may send from any address',
      '  packets between peers are forwarded here',
      '  10.99.0.0/16 is refused: blackhole (hub.conf:6)',
      '  10.98.0.0/16 goes by way of 192.0.2.1, outside of the tunnel (hub.conf:7)',
      '  NAT, the first rule that matches:',
      '    10.8.0.0/24 keeps its addresses (hub.conf:8)',
    ]);
  });
});
