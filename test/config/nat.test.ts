/** `nat` and `client-nat` lines, and what steers them. */
import { describe, expect, it } from 'vitest';
import type { NatLine } from '../../src/config/model.ts';
import { formatAddress } from '../../src/packet/address.ts';
import { formatPrefix, type Prefix } from '../../src/packet/prefix.ts';
import { BASE, configOf, errorsOf, gatewayOf, joined } from '../support/config.ts';

const linesOf = (...lines: string[]): readonly NatLine[] => gatewayOf(lines).nat.lines;

const prefix = (value: Prefix | undefined) => value && formatPrefix(value);

/** A line as plain text values, undefined ones left out. */
function shown(line: NatLine) {
  const { source, destination, protocol, sourcePorts, destinationPorts } = line.match;
  const what =
    line.kind === 'snat'
      ? 'address' in line.target
        ? { ...line.target, address: formatAddress(line.target.address) }
        : line.target
      : line.kind === 'dnat'
        ? { from: line.from, to: formatAddress(line.to), toPort: line.toPort, snat: line.snat }
        : {};
  return JSON.parse(
    JSON.stringify({
      kind: line.kind,
      src: prefix(source),
      dst: prefix(destination),
      protocol,
      sport: sourcePorts,
      dport: destinationPorts,
      ...what,
    }),
  ) as unknown;
}

describe('a nat line', () => {
  const rows: readonly [line: string, meaning: object][] = [
    ['nat snat 10.8.0.0/24 out eth1 masquerade', { kind: 'masquerade', src: '10.8.0.0/24', egress: 'eth1' }],
    [
      'nat snat 10.8.0.0 255.255.255.0 out eth1 to 172.16.0.9',
      { kind: 'alias', src: '10.8.0.0/24', egress: 'eth1', address: '172.16.0.9' },
    ],
    ['nat snat 172.16.0.0/255.255.255.0 into tunnel', { kind: 'tunnel', src: '172.16.0.0/24' }],
    ['nat snat 172.16.0.0/24 into tunnel peer peer', { kind: 'tunnel', src: '172.16.0.0/24', peer: 'peer' }],
    [
      'nat snat 10.8.0.0/24 out eth1 masquerade proto tcp dst 172.16.0.0/16 sport 1-1023 dport 443',
      {
        kind: 'masquerade',
        src: '10.8.0.0/24',
        dst: '172.16.0.0/16',
        egress: 'eth1',
        protocol: 6,
        sport: { first: 1, last: 1023 },
        dport: { first: 443, last: 443 },
      },
    ],
    [
      'nat dnat from peers tcp dport 80 src 192.168.0.0/16 to 10.0.1.26:80',
      {
        kind: 'dnat',
        src: '192.168.0.0/16',
        protocol: 6,
        dport: { first: 80, last: 80 },
        from: { kind: 'peers' },
        to: '10.0.1.26',
        toPort: 80,
        snat: false,
      },
    ],
    [
      'nat dnat from peer peer proto 47 dst 10.8.0.1 to 10.0.1.26 snat',
      {
        kind: 'dnat',
        dst: '10.8.0.1/32',
        protocol: 47,
        from: { kind: 'peers', peer: 'peer' },
        to: '10.0.1.26',
        snat: true,
      },
    ],
    [
      'nat dnat in eth0 udp dport 8000-8010 to 10.8.0.2',
      {
        kind: 'dnat',
        protocol: 17,
        dport: { first: 8000, last: 8010 },
        from: { kind: 'interface', name: 'eth0' },
        to: '10.8.0.2',
        snat: false,
      },
    ],
    ['nat none 10.8.0.0/24 dst 172.16.5.0/24', { kind: 'none', src: '10.8.0.0/24', dst: '172.16.5.0/24' }],
    // No condition at all: the kernel has no rule `from 0.0.0.0/0`, and one asked for would never be found again.
    [
      'nat dnat in eth0 tcp dport 8080 src 0.0.0.0/0 dst 0.0.0.0/0 to 10.8.0.2',
      {
        kind: 'dnat',
        protocol: 6,
        dport: { first: 8080, last: 8080 },
        from: { kind: 'interface', name: 'eth0' },
        to: '10.8.0.2',
        snat: false,
      },
    ],
    ['nat none 10.8.0.0/24 icmp', { kind: 'none', src: '10.8.0.0/24', protocol: 1 }],
  ];
  for (const [line, meaning] of rows) {
    it(`reads: ${line}`, () => {
      const [read] = linesOf(line);
      expect(shown(read)).toEqual(meaning);
      expect([read.text, read.where]).toEqual([line, { file: 'peer.conf', line: 5, column: 1 }]);
    });
  }

  it('is kept as written, with single blanks, wherever it comes from', () => {
    const lines = linesOf(
      'setenv opt nat   none\t10.8.0.0/24',
      'ignore-unknown-option nat',
      'nat none 10.9.0.0/24 # x',
    );
    expect(lines.map(({ text, where }) => [text, where.line, where.column])).toEqual([
      ['nat none 10.8.0.0/24', 5, 12],
      ['nat none 10.9.0.0/24', 7, 1],
    ]);
  });

  it('of another file comes behind those of the first', () => {
    const file = (number: number, nat: string) => [
      'dev tun',
      `secret ${number}`,
      'cipher AES-256-CBC',
      `ifconfig 10.8.0.1 10.8.0.${number}`,
      `port ${number}`,
      nat,
    ];
    const { nat } = joined({ b: file(2, 'nat none 10.1.0.0/16'), a: file(3, 'nat none 10.2.0.0/16') });
    expect(nat.lines.map(({ where }) => where.file)).toEqual(['b', 'a']);
  });

  const refused: readonly [rule: string, line: string, column: number, what: RegExp][] = [
    ['of an unknown kind', 'nat redirect 10.0.0.0/8', 5, /`redirect` is not `snat` or `dnat`/],
    ['that ends early', 'nat snat', 5, /ends where a network/],
    ['with host bits', 'nat snat 10.8.0.1/24 out eth1 masquerade', 10, /10\.8\.0\.1\/24 has bits set/],
    ['with a netmask of holes', 'nat snat 10.8.0.0 255.0.255.0 out eth1 masquerade', 19, /not a netmask/],
    ['with a prefix of 33 bits', 'nat snat 10.8.0.0/33 out eth1 masquerade', 10, /not a network/],
    ['with a mistyped word', 'nat snat 10.8.0.0/24 out eth1 maskerade', 31, /`maskerade` does not belong/],
    ['with a clause twice', 'nat none 10.8.0.0/24 dst 1.1.1.1 dst 2.2.2.2', 34, /`dst` comes a second time/],
    ['with two protocols', 'nat none 10.8.0.0/24 tcp udp', 1, /one protocol/],
    ['with ports and no protocol', 'nat none 10.8.0.0/24 dport 80', 1, /without `tcp` or `udp`/],
    ['with ports of icmp', 'nat none 10.8.0.0/24 icmp dport 80', 1, /without `tcp` or `udp`/],
    ['with port 0', 'nat none 10.8.0.0/24 tcp dport 0', 32, /not a port/],
    ['with port 65536', 'nat none 10.8.0.0/24 tcp dport 80-65536', 32, /not a port/],
    ['with ports the wrong way round', 'nat none 10.8.0.0/24 tcp dport 90-80', 32, /not a port/],
    ['with two families', 'nat none 10.8.0.0/24 dst fd00::/64', 1, /IPv6 sessions are not translated/],
    ['snat without target', 'nat snat 10.8.0.0/24', 1, /either `out INTERFACE` or `into tunnel`/],
    ['snat out and in', 'nat snat 10.8.0.0/24 out eth1 into tunnel', 1, /either `out/],
    ['snat out without address', 'nat snat 10.8.0.0/24 out eth1', 1, /either `masquerade` or `to/],
    [
      'snat into the tunnel with address',
      'nat snat 10.8.0.0/24 into tunnel to 1.2.3.4',
      1,
      /takes no address/,
    ],
    ['snat out to a peer', 'nat snat 10.8.0.0/24 out eth1 masquerade peer peer', 1, /`peer` goes with/],
    [
      'snat to an address of the other family',
      'nat snat 10.8.0.0/24 out eth1 to fd00::1',
      1,
      /IPv6 sessions/,
    ],
    ['with IPv6 sessions', 'nat snat fd00::/64 out eth1 masquerade', 1, /IPv6 sessions/],
    [
      'with an interface of 16 characters',
      'nat snat 10.8.0.0/24 out e234567890123456 masquerade',
      26,
      /interface/,
    ],
    ['dnat from nowhere', 'nat dnat tcp dport 80 to 10.0.1.26', 1, /either `from` or `in`/],
    ['dnat to nowhere', 'nat dnat from peers tcp dport 80', 1, /needs `to ADDRESS`/],
    ['dnat to a port without matching one', 'nat dnat from peers tcp to 10.0.1.26:80', 1, /no port to match/],
    ['dnat to a name', 'nat dnat from peers to www.example.net:80', 24, /not an address/],
    ['dnat to port 65536', 'nat dnat from peers tcp dport 1 to 1.2.3.4:65536', 36, /not an address/],
    ['dnat in an interface without port', 'nat dnat in eth0 to 10.8.0.2', 1, /needs `tcp dport/],
    ['dnat in an interface at port 65535', 'nat dnat in eth0 tcp dport 65535 to 10.8.0.2', 1, /65535/],
    ['with a peer there is not', 'nat dnat from peer per to 10.8.0.2', 20, /no peer `per`/],
    ['into a peer there is not', 'nat snat 10.8.0.0/24 into tunnel peer siteB', 39, /no peer `siteB`/],
    [
      'netmap of a peer there is not',
      'nat netmap peer b local 10.0.0.0/16 as 10.1.0.0/16',
      17,
      /no peer `b`/,
    ],
    ['netmap without peer', 'nat netmap local 10.0.0.0/16 as 10.1.0.0/16', 1, /needs `peer NAME`/],
    ['netmap without networks', 'nat netmap peer peer', 1, /`local` or `remote`/],
    [
      'netmap of two sizes',
      'nat netmap peer peer local 10.0.0.0/16 as 10.1.0.0/24',
      1,
      /not of the same length/,
    ],
    [
      'netmap of two families',
      'nat netmap peer peer local 10.0.0.0/16 as fd00::/16',
      1,
      /not of the same length/,
    ],
    [
      'netmap of an IPv6 network above /112',
      'nat netmap peer peer local fd00::/120 as fd01::/120',
      1,
      /at most \/112/,
    ],
    ['netmap without `as`', 'nat netmap peer peer local 10.0.0.0/16 to 10.1.0.0/16', 40, /`to` is not `as`/],
  ];
  for (const [rule, line, column, what] of refused) {
    it(`is refused ${rule}: ${line}`, () => {
      const errors = errorsOf([...BASE, line].join('\n'));
      expect(errors).toHaveLength(1);
      expect(errors[0].what).toMatch(what);
      expect(errors[0].where).toEqual({ file: 'peer.conf', line: 5, column });
      expect(errors[0].fix).not.toBeUndefined();
    });
  }

  it('with a mistyped word is told the one it stands for', () => {
    const line = 'nat snat 10.8.0.0/24 out eth1 maskerade';
    expect(errorsOf([...BASE, line].join('\n'))[0].fix).toBe('did you mean `masquerade`?');
  });

  it('is refused behind `setenv opt` as well', () => {
    expect(errorsOf([...BASE, 'setenv opt nat snat'].join('\n'))).toHaveLength(1);
  });
});

describe('network translation', () => {
  const rulesOf = (...lines: string[]) =>
    configOf(lines).netmap.map(({ kind, local, wire }) => [kind, formatPrefix(local), formatPrefix(wire)]);

  it('in the words of OpenVPN: the network as seen here, and as it is on the wire', () => {
    expect(
      rulesOf(
        'client-nat snat 10.0.0.0 255.255.0.0 10.101.0.0',
        'client-nat dnat 10.102.0.0 255.255.0.0 10.0.0.0',
      ),
    ).toEqual([
      ['snat', '10.0.0.0/16', '10.101.0.0/16'],
      ['dnat', '10.102.0.0/16', '10.0.0.0/16'],
    ]);
  });

  it('as nat netmap, which is sugar for the same', () => {
    expect(
      rulesOf('nat netmap peer peer local 10.0.0.0/16 as 10.101.0.0/16 remote 10.0.0.0/16 as 10.102.0.0/16'),
    ).toEqual(rulesOf('client-nat snat 10.0.0.0/16 10.101.0.0', 'client-nat dnat 10.102.0.0/16 10.0.0.0'));
  });

  it('for IPv6', () => {
    expect(rulesOf('nat netmap peer peer local fd00:1::/48 as fd00:2::/48')).toEqual([
      ['snat', 'fd00:1::/48', 'fd00:2::/48'],
    ]);
  });

  it('in both words keeps the order of the lines', () => {
    expect(
      rulesOf(
        'client-nat snat 10.1.0.0/16 10.11.0.0',
        'nat netmap peer peer local 10.2.0.0/16 as 10.12.0.0/16',
        'client-nat snat 10.3.0.0/16 10.13.0.0',
      ).map(([, local]) => local),
    ).toEqual(['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16']);
  });

  it('clears host bits of client-nat with a warning: in OpenVPN such a line never matches', () => {
    const { peers, warnings } = gatewayOf(['client-nat snat 10.0.0.7 255.255.0.0 10.101.0.9']);
    const [{ netmap }] = peers;
    expect(netmap.map(({ local, wire }) => [formatPrefix(local), formatPrefix(wire)])).toEqual([
      ['10.0.0.0/16', '10.101.0.0/16'],
    ]);
    expect(warnings.map(({ code, fix }) => [code, fix])).toEqual([
      ['CONFIG_HOST_BITS', 'write 10.0.0.0/16'],
      ['CONFIG_HOST_BITS', 'write 10.101.0.0'],
    ]);
  });

  it('takes 64 lines of client-nat and ignores the 65th with a warning, as OpenVPN', () => {
    const lines = Array.from({ length: 65 }, (_, i) => `client-nat snat 10.${i}.0.0 255.255.0.0 10.101.0.0`);
    const { peers, warnings } = gatewayOf(lines);
    expect(peers[0].netmap).toHaveLength(64);
    expect(warnings.map(({ what, where }) => [what, where.line])).toEqual([
      ['client-nat: more than 64 lines; this one is ignored', 69],
    ]);
  });

  const refused: readonly [string, string, RegExp][] = [
    ['of another kind', 'client-nat xnat 10.0.0.0 255.0.0.0 11.0.0.0', /`xnat`/],
    ['without alias', 'client-nat snat 10.0.0.0 255.0.0.0', /ends where/],
    ['with a word too many', 'client-nat snat 10.0.0.0 255.0.0.0 11.0.0.0 x', /`x`/],
    ['with a mask of holes', 'client-nat snat 10.0.0.0 255.0.255.0 11.0.0.0', /netmask/],
    ['for IPv6', 'client-nat snat fd00::/64 fd01::', /for IPv4/],
  ];
  for (const [rule, line, what] of refused) {
    it(`is refused ${rule}: ${line}`, () => {
      const errors = errorsOf([...BASE, line].join('\n'));
      expect(errors.map((error) => what.test(error.what))).toEqual([true]);
    });
  }
});

describe('NAT settings', () => {
  it('have the values of the RFCs without a line', () => {
    expect(gatewayOf([]).nat).toEqual({
      lines: [],
      ports: { first: 61000, last: 65534 },
      timeouts: {
        udp: 300,
        udpOneWay: 120,
        udpDns: 30,
        tcpEstablished: 7440,
        tcpPartial: 240,
        tcpClosing: 240,
        icmp: 60,
        other: 300,
        fragment: 30,
        portQuarantine: 120,
      },
      maxSessions: 65536,
      perHost: 2048,
      tcpMapping: 'edm',
      udpFiltering: 'adf',
      unmatched: 'reinject',
      table: 51820,
      ruleProtocol: 213,
    });
  });

  it('are all set by their lines', () => {
    const { nat, warnings } = gatewayOf([
      'nat-ports 40000 50000',
      'nat-mapping tcp eim',
      'nat-filter udp eif',
      ...['udp 400', 'udp-one-way 150', 'udp-dns 20', 'tcp 8000', 'tcp-partial 250', 'tcp-closing 260'].map(
        (timer) => `nat-timeout ${timer}`,
      ),
      'nat-timeout icmp 61',
      'nat-timeout other 62',
      'nat-max-sessions 1000',
      'nat-per-host 100',
      'nat-unmatched drop',
      'nat-table 7',
      'nat-rule-protocol 2',
    ]);
    expect(nat).toMatchObject({
      ports: { first: 40000, last: 50000 },
      timeouts: {
        udp: 400,
        udpOneWay: 150,
        udpDns: 20,
        tcpEstablished: 8000,
        tcpPartial: 250,
        tcpClosing: 260,
        icmp: 61,
        other: 62,
      },
      maxSessions: 1000,
      perHost: 100,
      tcpMapping: 'eim',
      udpFiltering: 'eif',
      unmatched: 'drop',
      table: 7,
      ruleProtocol: 2,
    });
    expect(warnings).toEqual([]);
  });

  it('below what an RFC asks for are a warning that names it', () => {
    const { warnings } = gatewayOf(['nat-timeout tcp 600']);
    expect(warnings[0]).toMatchObject({ code: 'CONFIG_NAT_TIMEOUT', where: { line: 5 } });
    expect(warnings[0].why).toContain('RFC 5382 REQ-5');
  });

  const refused: readonly [rule: string, line: string, what: RegExp][] = [
    ['port 65535, which the kernel refuses', 'nat-ports 61000 65535', /contains port 65535/],
    ['ports the wrong way round', 'nat-ports 50000 40000', /is empty/],
    ['ports below 1024', 'nat-ports 80 40000', /1024 to/],
    ['a mapping of udp', 'nat-mapping udp eim', /`udp` is not one of tcp/],
    ['an unknown timer', 'nat-timeout sctp 300', /`sctp`/],
    ['a timer of 0', 'nat-timeout udp 0', /1 to/],
    ["the kernel's main table", 'nat-table 254', /own tables/],
    ['a rule protocol of 256', 'nat-rule-protocol 256', /1 to 255/],
  ];
  for (const [rule, line, what] of refused) {
    it(`refuse ${rule}`, () => {
      expect(errorsOf([...BASE, line].join('\n')).map((error) => what.test(error.what))).toEqual([true]);
    });
  }
});
