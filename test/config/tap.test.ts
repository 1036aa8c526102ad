/** `dev tap`: what its lines mean, what does not go with it, and what the peer is told of it. */
import { describe, expect, it } from 'vitest';
import { lint } from '../../src/config/explain.ts';
import { formatSummary, summarise } from '../../src/config/summary.ts';
import { mssFor, occOptions } from '../../src/gateway/settings.ts';
import { buildOccOptions } from '../../src/protocol/occ-options.ts';
import { errorsOf, errorsOfFiles, joined } from '../support/config.ts';

const TAP = ['dev tap0', 'secret static.key', 'cipher AES-256-CBC', 'auth SHA256', 'remote 192.0.2.2'];
const ADDRESS = 'ifconfig 10.8.0.1 255.255.255.0';

const gateway = (...lines: string[]) => joined({ 'tap.conf': [...TAP, ...lines] });
const warnings = (...lines: string[]) => gateway(...lines).warnings.map(({ what }) => what);
const errors = (...lines: string[]) => errorsOf([...TAP, ...lines].join('\n'));
const occ = (...lines: string[]) => buildOccOptions(occOptions(gateway(...lines).peers[0]));

describe('the device', () => {
  const rows: readonly [rule: string, lines: readonly string[], type: string, name: string | undefined][] = [
    ['is tap by its name', [], 'tap', 'tap0'],
    ['is the next free one', ['dev tap'], 'tap', undefined],
    ['is tap by dev-type, whatever its name', ['dev vpn0', 'dev-type tap'], 'tap', 'vpn0'],
    ['is tap by dev-type with the word for any tun', ['dev tun', 'dev-type tap'], 'tap', undefined],
    ['is tun by dev-type, whatever its name', ['dev tap0', 'dev-type tun'], 'tun', 'tap0'],
  ];
  it.each(rows)('%s', (_, lines, type, name) => {
    expect(gateway(...lines).device).toMatchObject({ type, name });
  });

  it('has a network, whatever `topology` says', () => {
    const network = { kind: 'subnet', local: '10.8.0.1', prefixLength: 24, netmask: '255.255.255.0' };
    for (const topology of ['net30', 'p2p', 'subnet'])
      expect(gateway(ADDRESS, `topology ${topology}`).device.addresses).toEqual([network]);
    expect(gateway('ifconfig 10.8.0.0 255.255.255.254').device.addresses).toMatchObject([
      { prefixLength: 31 },
    ]);
    expect(gateway('ifconfig 10.8.0.1 255.255.255.255').device.addresses).toMatchObject([
      { prefixLength: 32 },
    ]);
  });

  it('has the MAC address of `lladdr`, in lower case', () => {
    expect(gateway(ADDRESS, 'lladdr 02:0:5E:10:00:0a').device.linkAddress).toBe('02:00:5e:10:00:0a');
  });

  it('warns when nothing sets it up', () => {
    expect(warnings()).toEqual([expect.stringContaining('the device is left down')]);
    expect(warnings('bridge br0')).toEqual([]);
    expect(warnings(ADDRESS)).toEqual([]);
    expect(warnings('script-security 2', 'up /bin/true')).toEqual([]);
  });

  it('warns about an address on the port of a bridge', () => {
    expect(warnings('bridge br0', ADDRESS)).toEqual([expect.stringContaining('port of a bridge')]);
  });
});

describe('is refused', () => {
  const rows: readonly [what: string, line: string, code: string, message: RegExp][] = [
    ['an address in place of the netmask', 'ifconfig 10.8.0.1 10.8.0.2', 'CONFIG_NETMASK', /tap/],
    ['the address of the network', 'ifconfig 10.8.0.0 255.255.255.0', 'CONFIG_IFCONFIG', /network/],
    ['a MAC address of words', 'lladdr zz', 'CONFIG_ARGUMENT', /MAC/],
    ['a MAC address of five bytes', 'lladdr 02:00:00:00:01', 'CONFIG_ARGUMENT', /MAC/],
    ['the MAC address of a group', 'lladdr 03:00:00:00:00:01', 'CONFIG_ARGUMENT', /MAC/],
    ['no MAC address', 'lladdr 00:00:00:00:00:00', 'CONFIG_ARGUMENT', /MAC/],
    ['an IPv4 gateway for IPv6', 'route-ipv6 fd01::/48 10.8.0.2', 'CONFIG_ROUTE', /10\.8\.0\.2/],
    ['NAT', 'nat snat 10.8.0.0/24 out eth0 masquerade', 'CONFIG_TAP', /nat/],
    ['netmap', 'client-nat snat 10.1.0.0 255.255.0.0 10.2.0.0', 'CONFIG_TAP', /client-nat/],
    ['a network behind the peer', 'peer-route 10.1.0.0/16', 'CONFIG_TAP', /peer-route/],
    ["the peer's address", 'peer-address 10.8.0.2', 'CONFIG_TAP', /peer-address/],
    ['allowed sources', 'allowed-source any', 'CONFIG_TAP', /allowed-source/],
    ['a blackhole', 'blackhole 10.9.0.0/16', 'CONFIG_TAP', /blackhole/],
    ['forwarding between peers', 'client-to-client', 'CONFIG_TAP', /client-to-client/],
    ['a second route', 'route-fallthrough', 'CONFIG_TAP', /route-fallthrough/],
  ];
  it.each(rows)('%s', (_, line, code, message) => {
    const found = errors(line);
    expect(found.map((error) => error.code)).toEqual([code]);
    expect(found[0].what).toMatch(message);
    expect(found[0].where?.line).toBe(TAP.length + 1);
  });

  it('a second peer, naming both places and the bridge as a way out', () => {
    const [error] = errorsOfFiles({
      'a.conf': [...TAP, 'port 1194'],
      'b.conf': [...TAP, 'port 1195'],
    });
    expect(error).toMatchObject({ code: 'CONFIG_TAP', where: { file: 'b.conf', line: 1 } });
    expect(error.why).toContain('a.conf:1');
    expect(error.fix).toContain('master br0');
  });

  it('tun and tap in one process, naming both places', () => {
    const tun = ['dev tun', 'secret b.key', 'cipher AES-256-CBC', 'port 1195', 'ifconfig 10.9.0.1 10.9.0.2'];
    const [error] = errorsOfFiles({ 'a.conf': ['port 1194', ...TAP, 'dev tap'], 'b.conf': tun });
    expect(error).toMatchObject({ code: 'CONFIG_TAP', where: { file: 'b.conf', line: 1 } });
    expect(error.what).toContain('one on a tap device, one on tun');
    expect(error.why).toContain('a.conf:7');
  });
});

describe('routes', () => {
  it('are the kernel’s, by their gateways, and nothing lies behind the peer', () => {
    const { routes, peers } = gateway(
      ADDRESS,
      'ifconfig-ipv6 fd00:8::1/64 fd00:8::2',
      'route-gateway 10.8.0.2',
      'route 10.9.0.0 255.255.0.0',
      'route 10.10.0.0 255.255.0.0 10.8.0.7 5',
      'route-ipv6 fd00:9::/64',
      'route-ipv6 fd00:a::/64 fd00:8::5',
    );
    expect(routes.map(({ network, gateway: by, metric }) => [network, by, metric])).toEqual([
      ['10.9.0.0', '10.8.0.2', undefined],
      ['10.10.0.0', '10.8.0.7', 5],
      ['fd00:9::', 'fd00:8::2', undefined],
      ['fd00:a::', 'fd00:8::5', undefined],
    ]);
    expect(peers[0]).toMatchObject({ peerRoutes: [], tunnelAddresses: [], allowedSource: 'any' });
  });

  it('are left out with a warning when they have no gateway, as in stock', () => {
    const { routes, warnings: told } = gateway(
      ADDRESS,
      'route 10.9.0.0 255.255.0.0',
      'route-ipv6 fd00:9::/64',
    );
    expect(routes).toEqual([]);
    expect(told.map(({ code }) => code)).toEqual(['CONFIG_ROUTE_GATEWAY', 'CONFIG_ROUTE_GATEWAY']);
  });

  it('are not made with route-noexec', () => {
    const lines = [ADDRESS, 'route-gateway 10.8.0.2', 'route 10.9.0.0 255.255.0.0', 'route-noexec'];
    expect(gateway(...lines).routes).toEqual([]);
  });

  it('redirect what has a gateway', () => {
    const lines = [ADDRESS, 'redirect-gateway def1 ipv6'];
    expect(gateway(...lines).redirect).toMatchObject({ ipv4: 'off', ipv6: false });
    expect(warnings(...lines)).toHaveLength(2);
    expect(
      gateway(...lines, 'route-gateway 10.8.0.2', 'route-ipv6-gateway fd00:8::2').redirect,
    ).toMatchObject({
      ipv4: 'gateway',
      gateway: '10.8.0.2',
      ipv6: true,
      gateway6: 'fd00:8::2',
    });
  });
});

describe('sizes are those of stock 2.6', () => {
  const BASE = 'V4,dev-type tap,link-mtu';
  const END = 'cipher AES-256-CBC,auth SHA256,keysize 256,secret';
  const rows: readonly [rule: string, lines: readonly string[], string: string][] = [
    ['without address', [], `${BASE} 1604,tun-mtu 1500,proto UDPv4,${END}`],
    [
      'with a network',
      [ADDRESS],
      `${BASE} 1604,tun-mtu 1500,proto UDPv4,ifconfig 10.8.0.0 255.255.255.0,${END}`,
    ],
    [
      'with IPv6 and tun-mtu-extra',
      ['tun-mtu-extra 40', 'ifconfig-ipv6 fd00:8::1/64 fd00:8::2'],
      `${BASE} 1612,tun-mtu 1500,proto UDPv4,tun-ipv6,${END}`,
    ],
    ['with jumbo frames', ['tun-mtu 9000'], `${BASE} 9104,tun-mtu 9000,proto UDPv4,${END}`],
    [
      'with tun-mtu-extra on a tun device',
      ['dev tun5', 'tun-mtu-extra 32', 'ifconfig 10.8.0.1 10.8.0.2'],
      `V4,dev-type tun,link-mtu 1604,tun-mtu 1500,proto UDPv4,ifconfig 10.8.0.2 10.8.0.1,${END}`,
    ],
  ];
  it.each(rows)('in the option string: %s', (_, lines, string) => {
    expect(occ(...lines)).toBe(string);
  });

  it('in mssfix, which counts 32 bytes for the Ethernet header', () => {
    const [peer] = gateway().peers;
    expect([mssFor(peer, undefined), mssFor(peer, 4)]).toEqual([1311, 1327]);
  });
});

it('`check` says what the device is and who gets its frames', () => {
  const text = formatSummary(summarise(gateway('bridge br0'))).join('\n');
  expect(text).toContain('device tap0, MTU 1500: port of the bridge br0');
  expect(text).toContain('gets every Ethernet frame of the device');
});

describe('`check` remarks on a tap device', () => {
  const codes = (...lines: string[]) => lint(gateway(...lines)).map(({ code }) => code);
  const ROUTED = [ADDRESS, 'route-gateway 10.8.0.2', 'route 10.9.0.0 255.255.0.0'];

  it('that only carries what routes send there', () => {
    expect(codes(...ROUTED)).toContain('CHECK_TAP_ROUTED');
    expect(codes(ADDRESS)).not.toContain('CHECK_TAP_ROUTED');
    expect(codes('bridge br0')).not.toContain('CHECK_TAP_ROUTED');
  });
});
