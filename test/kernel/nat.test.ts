import { describe, expect, it } from 'vitest';
import type { GatewayConfig, NatLine } from '../../src/config/model.ts';
import { renderIp } from '../../src/kernel/change.ts';
import { ephemeralOverlap } from '../../src/kernel/nat/check-ports.ts';
import { sparesForeignRules } from '../../src/kernel/nat/check-rules.ts';
import { acceptCommands, parseChains } from '../../src/kernel/nat/firewall.ts';
import { planNat, type NatHost, type NatPlan } from '../../src/kernel/nat/plan.ts';
import { listensOn, parseRow } from '../../src/kernel/sockets.ts';
import type { HostAddress } from '../../src/kernel/snapshot.ts';
import { formatAddress, parseAddress } from '../../src/packet/address.ts';
import { parsePrefix } from '../../src/packet/prefix.ts';

const where = { file: 'gateway.conf', line: 7, column: 1 };
const everything = {
  source: undefined,
  destination: undefined,
  protocol: undefined,
  sourcePorts: undefined,
  destinationPorts: undefined,
};
const base = { text: '', where, match: everything };
const masquerade = (egress: string): NatLine => ({
  ...base,
  kind: 'snat',
  target: { kind: 'masquerade', egress },
});
const alias = (egress: string, address: string): NatLine => ({
  ...base,
  kind: 'snat',
  target: { kind: 'alias', egress, address: parseAddress(address) },
});
const intoTunnel = (source: string): NatLine => ({
  ...base,
  match: { ...everything, source: parsePrefix(source)! },
  kind: 'snat',
  target: { kind: 'tunnel', peer: undefined },
});
const forward = (name: string, to: string, match: Partial<NatLine['match']>): NatLine => ({
  ...base,
  match: { ...everything, ...match },
  kind: 'dnat',
  from: { kind: 'interface', name },
  to: parseAddress(to),
  toPort: undefined,
  snat: false,
});
const fromPeers = (to: string, snat: boolean): NatLine => ({
  ...base,
  kind: 'dnat',
  from: { kind: 'peers', peer: undefined },
  to: parseAddress(to),
  toPort: undefined,
  snat,
});

const address = (text: string, device: string, preferred = true): HostAddress => ({
  local: parseAddress(text),
  peer: undefined,
  prefixLength: 24,
  interfaceIndex: 2,
  device,
  global: true,
  preferred,
});

const host: NatHost = {
  devices: ['lo', 'eth0', 'eth1', 'ppp0', 'tun0'],
  addresses: [
    address('172.16.0.20', 'eth1', false),
    address('172.16.0.2', 'eth1'),
    address('fd16::2', 'eth1'),
    address('203.0.113.2', 'eth0'),
  ],
  egressDevice: (to) => ({ 172: 'eth1', 10: 'tun0', 127: 'lo' })[to[0]],
  ipv6Forwarding: false,
};

function plan(lines: readonly NatLine[], unmatched: 'reinject' | 'drop' = 'drop', on = host): NatPlan {
  const nat = { lines, ports: { first: 61000, last: 65534 }, table: 51820, ruleProtocol: 213, unmatched };
  return planNat({ nat } as unknown as GatewayConfig, 'tun0', on);
}

const FORWARD = ['sysctl -w net.ipv4.conf.tun0.forwarding=1', 'sysctl -w net.ipv4.conf.eth1.forwarding=1'];
const ROUTE = 'ip route add 0.0.0.0/0 dev tun0 table 51820 proto 86';
const ROTATE =
  'ip rule add pref 1 lookup local && ip rule del pref 0 lookup local && ip rule add pref 0 lookup local && ip rule del pref 1 lookup local';
const capture = (words: string) => `ip rule add pref 0 ${words} lookup 51820 protocol 213`;
const RANGE = [
  ...FORWARD,
  ROUTE,
  capture('to 172.16.0.2/32 iif eth1 ipproto tcp dport 61000-65534'),
  capture('to 172.16.0.2/32 iif eth1 ipproto udp dport 61000-65534'),
  ROTATE,
];

const plans: readonly [rule: string, lines: readonly NatLine[], commands: readonly string[]][] = [
  ['needs nothing without lines', [], []],
  ['captures ports of the preferred address for masquerade, the rules last', [masquerade('eth1')], RANGE],
  ['does so once for several lines', [masquerade('eth1'), masquerade('eth1')], RANGE],
  [
    'does the same for forwards from peers that also translate the source',
    [fromPeers('172.16.0.3', true)],
    RANGE,
  ],
  ['needs only forwarding for a session into the LAN', [fromPeers('172.16.0.3', false)], FORWARD],
  ['needs only forwarding for sessions into the tunnel', [intoTunnel('172.16.0.0/24')], FORWARD],
  ['needs nothing for what stays here', [fromPeers('127.0.0.1', true), intoTunnel('10.8.0.0/24')], []],
  [
    'routes an alias to the device and answers ARP for it',
    [alias('eth1', '172.16.0.9')],
    [...FORWARD, 'ip route add 172.16.0.9/32 dev tun0 proto 86', 'ip neigh add proxy 172.16.0.9 dev eth1'],
  ],
  [
    'captures an alias that is configured on the host',
    [alias('eth1', '172.16.0.20')],
    [...FORWARD, 'ip neigh add proxy 172.16.0.20 dev eth1', ROUTE, capture('to 172.16.0.20/32'), ROTATE],
  ],
  [
    'makes the interface answer for an IPv6 alias',
    [alias('eth1', 'fd16::9')],
    [
      'sysctl -w net.ipv6.conf.tun0.force_forwarding=1',
      'sysctl -w net.ipv6.conf.eth1.force_forwarding=1',
      'sysctl -w net.ipv6.conf.eth1.forwarding=1',
      'sysctl -w net.ipv6.conf.eth1.proxy_ndp=1',
      'ip -6 route add fd16::9/128 dev tun0 proto 86',
      'ip -6 neigh add proxy fd16::9 dev eth1',
    ],
  ],
  [
    'captures a forwarded port on all addresses of its interface, and for the host itself',
    [forward('eth1', '10.8.0.2', { protocol: 6, destinationPorts: { first: 8080, last: 8080 } })],
    [
      ...FORWARD,
      ROUTE,
      capture('to 172.16.0.20/32 iif eth1 ipproto tcp dport 8080'),
      capture('to 172.16.0.20/32 iif lo ipproto tcp dport 8080'),
      capture('to 172.16.0.2/32 iif eth1 ipproto tcp dport 8080'),
      capture('to 172.16.0.2/32 iif lo ipproto tcp dport 8080'),
      ROTATE,
    ],
  ],
  [
    'takes a source and a destination of everything for none',
    [
      forward('eth0', '10.8.0.2', {
        protocol: 6,
        source: parsePrefix('0.0.0.0/0')!,
        destination: parsePrefix('0.0.0.0/0')!,
        destinationPorts: { first: 80, last: 80 },
      }),
    ],
    [
      'sysctl -w net.ipv4.conf.tun0.forwarding=1',
      'sysctl -w net.ipv4.conf.eth0.forwarding=1',
      ROUTE,
      capture('to 203.0.113.2/32 iif eth0 ipproto tcp dport 80'),
      capture('to 203.0.113.2/32 iif lo ipproto tcp dport 80'),
      ROTATE,
    ],
  ],
  [
    'limits a capture to the source and destination of its line',
    [
      forward('eth1', '10.8.0.2', {
        protocol: 17,
        source: parsePrefix('192.0.2.0/24')!,
        destination: parsePrefix('203.0.113.2')!,
        destinationPorts: { first: 53, last: 54 },
      }),
    ],
    [
      ...FORWARD,
      ROUTE,
      capture('from 192.0.2.0/24 to 203.0.113.2/32 iif eth1 ipproto udp dport 53-54'),
      capture('from 192.0.2.0/24 to 203.0.113.2/32 iif lo ipproto udp dport 53-54'),
      ROTATE,
    ],
  ],
];

describe('planNat', () => {
  it.each(plans)('%s', (_rule, lines, commands) => {
    expect(plan(lines).changes.map(renderIp)).toEqual(commands);
  });

  it('loosens the reverse path filter of the device when packets are handed back to the host', () => {
    expect(plan([masquerade('eth1')], 'reinject').changes.map(renderIp)).toContain(
      'sysctl -w net.ipv4.conf.tun0.rp_filter=2',
    );
  });

  it('never captures ICMP: a rule names TCP or UDP, or an address that is not the host’s own to use', () => {
    const lines = [
      masquerade('eth1'),
      forward('eth1', 'fd08::2', { destinationPorts: { first: 53, last: 53 } }),
    ];
    const rules = plan(lines).changes.filter(({ kind }) => kind === 'rule');
    expect(rules).toHaveLength(6);
    expect(rules.every((rule) => 'transport' in rule)).toBe(true);
  });

  it('tells the address of each line, and what is missing', () => {
    const lines = [masquerade('eth0'), intoTunnel('172.16.0.0/24'), masquerade('ppp0'), masquerade('eth9')];
    const { addresses, missing } = plan(lines);
    expect(addresses.map((found) => found && formatAddress(found))).toEqual([
      '203.0.113.2',
      undefined,
      undefined,
      undefined,
    ]);
    expect(missing).toEqual(['ppp0 has no IPv4 address', 'there is no interface eth9']);
  });
});

describe('icmpAddresses', () => {
  it('are the IPv4 addresses of this host that are captured, each once', () => {
    const dport = { destinationPorts: { first: 53, last: 53 } };
    const lines = [
      masquerade('eth1'),
      forward('eth1', '10.8.0.2', dport),
      forward('eth1', 'fd08::2', dport),
      forward('eth0', '10.8.0.2', { ...dport, destination: parsePrefix('203.0.113.99')! }),
    ];
    expect(plan(lines).icmpAddresses.map(formatAddress)).toEqual(['172.16.0.2', '172.16.0.20']);
  });
});

describe('ephemeralOverlap', () => {
  it.each([
    ['none behind the range', 61000, '32768\t60999', '', undefined],
    ['all of a range inside', 40000, '32768 60999', '', { first: 40000, last: 40100 }],
    ['the part at the edge', 60950, '32768 60999', '', { first: 60950, last: 60999 }],
    ['none of what is reserved', 40000, '32768 60999', '40000-40100', undefined],
    [
      'what the reservation leaves',
      40000,
      '32768 60999',
      '1000,40000-40049,40100',
      { first: 40050, last: 40099 },
    ],
  ])('finds %s', (_what, first, ephemeral, reserved, overlap) => {
    expect(ephemeralOverlap({ first, last: first + 100 }, ephemeral, reserved)).toEqual(overlap);
  });
});

describe('parseRow', () => {
  const row = (local: string, state = '0A') =>
    `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 4711 1 0`;

  it.each([
    ['an IPv4 address', '0100007F:F230', '127.0.0.1'],
    ['an IPv6 address', '000016FD000000000000000002000000:F230', 'fd16::2'],
    ['an IPv4-mapped address as IPv4', '0000000000000000FFFF0000020010AC:F230', '172.16.0.2'],
  ])('reads %s', (_what, local, text) => {
    const [socket] = parseRow('tcp', row(local));
    expect(formatAddress(socket.address)).toBe(text);
    expect(socket).toMatchObject({ transport: 'tcp', port: 62000, inode: '4711' });
  });

  it('leaves out the header, empty lines, and TCP connections that only wait for their end', () => {
    expect(parseRow('tcp', '  sl  local_address rem_address   st')).toEqual([]);
    expect(parseRow('udp', '')).toEqual([]);
    expect(parseRow('tcp', row('0100007F:F230', '06'))).toEqual([]);
  });

  it.each([
    ['0.0.0.0', '172.16.0.2', true],
    ['::', '172.16.0.2', true],
    ['172.16.0.2', '172.16.0.2', true],
    ['127.0.0.1', '172.16.0.2', false],
  ])('a socket on %s gets packets to %s: %s', (bound, to, expected) => {
    const socket = { transport: 'udp', address: parseAddress(bound), port: 1, inode: '1' } as const;
    expect(listensOn(socket, parseAddress(to))).toBe(expected);
  });
});

describe('firewalls', () => {
  it('finds the chains at the forward hook that drop', () => {
    const chain = {
      family: 'ip',
      table: 'filter',
      name: 'FORWARD',
      type: 'filter',
      hook: 'forward',
      prio: 0,
    };
    const listing = {
      nftables: [
        { metainfo: { version: '1.0.6' } },
        { chain: { ...chain, policy: 'drop' } },
        { chain: { ...chain, name: 'other', policy: 'accept' } },
        { chain: { ...chain, hook: 'input', policy: 'drop' } },
        { chain: { family: 'ip', table: 'filter', name: 'DOCKER-USER' } },
      ],
    };
    expect(parseChains(JSON.stringify(listing)).map(({ text }) => text)).toEqual([
      'nft chain ip filter FORWARD has policy drop',
    ]);
  });

  it('lets sessions begin outside only where something is forwarded', () => {
    const [chain] = parseChains(
      '{"nftables":[{"chain":{"family":"ip","table":"filter","name":"FORWARD","hook":"forward","policy":"drop"}}]}',
    );
    expect(acceptCommands(chain, 'tun0', 'eth1', false)[1]).toContain('ct state established,related');
    expect(acceptCommands(chain, 'tun0', 'eth1', true)[1]).not.toContain('ct state');
  });
});

describe('sparesForeignRules', () => {
  it.each([
    ['', false],
    ['[Network]\nManageForeignRoutingPolicyRules=no\n', true],
    ['[Network]\n  ManageForeignRoutingPolicyRules = false', true],
    ['[Network]\n#ManageForeignRoutingPolicyRules=no\n', false],
    ['[Network]\nManageForeignRoutingPolicyRules=no\n\nManageForeignRoutingPolicyRules=yes\n', false],
  ])('%j: %s', (text, expected) => {
    expect(sparesForeignRules(text)).toBe(expected);
  });
});
