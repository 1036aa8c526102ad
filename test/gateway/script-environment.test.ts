import { describe, expect, it } from 'vitest';
import {
  scriptArguments,
  scriptEnvironment,
  type ScriptMoment,
} from '../../src/gateway/script-environment.ts';
import { gatewayOf, joined } from '../support/config.ts';

const PROCESS = { pid: 42, startTime: 1_795_000_000, daemon: false, logRedirect: true };
const GATEWAYS = { ipv4: '192.0.2.254', ipv6: 'fe80::1' };

const moment = (more: Partial<ScriptMoment> = {}): ScriptMoment => ({
  name: 'up',
  context: 'init',
  device: 'tun3',
  routed: false,
  gateways: GATEWAYS,
  trusted: undefined,
  ...more,
});

/** Only those whose names match. */
function variables(lines: readonly string[], pattern: RegExp, more?: Partial<ScriptMoment>) {
  const environment = scriptEnvironment(gatewayOf(lines), PROCESS, moment(more));
  return Object.fromEntries(Object.entries(environment).filter(([name]) => pattern.test(name)));
}

describe('the environment of a script', () => {
  it('is built from nothing', () => {
    expect(scriptEnvironment(gatewayOf(['verb 4']), PROCESS, moment())).toEqual({
      config: 'peer.conf',
      verb: '4',
      daemon: '0',
      daemon_log_redirect: '1',
      daemon_pid: '42',
      daemon_start_time: '1795000000',
      proto_1: 'udp',
      local_port_1: '1194',
      remote_port_1: '1194',
      dev: 'tun3',
      dev_type: 'tun',
      tun_mtu: '1500',
      ifconfig_local: '10.254.0.1',
      ifconfig_remote: '10.254.0.2',
      script_context: 'init',
      script_type: 'up',
    });
  });

  // As OpenVPN 2.6.14 tells an `up` script.
  it('has DNS servers by their priority, in both forms', () => {
    const lines = [
      'dhcp-option DNS 9.9.9.9',
      'dhcp-option DNS6 fd00::9',
      'dhcp-option DOMAIN q.example',
      'dhcp-option DOMAIN-SEARCH z',
      'dns search-domains a.example b.example',
      'dns server 1 address 10.0.0.53 [fd00::53]:5353',
      'dns server 1 resolve-domains x.example',
      'dns server 1 dnssec yes',
      'dns server -5 address 10.0.0.9:54',
      'dns server -5 transport DoT',
    ];
    expect(variables(lines, /^(?:dns|foreign)_/)).toEqual({
      dns_search_domain_1: 'a.example',
      dns_search_domain_2: 'b.example',
      dns_server_1_address_1: '10.0.0.9',
      dns_server_1_port_1: '54',
      dns_server_1_transport: 'DoT',
      dns_server_2_address_1: '10.0.0.53',
      dns_server_2_address_2: 'fd00::53',
      dns_server_2_port_2: '5353',
      dns_server_2_resolve_domain_1: 'x.example',
      dns_server_2_dnssec: 'yes',
      foreign_option_1: 'dhcp-option DOMAIN q.example',
      foreign_option_2: 'dhcp-option DNS 10.0.0.9',
      foreign_option_3: 'dhcp-option DNS 10.0.0.53',
      foreign_option_4: 'dhcp-option DNS6 fd00::53',
      foreign_option_5: 'dhcp-option DOMAIN-SEARCH a.example',
      foreign_option_6: 'dhcp-option DOMAIN-SEARCH b.example',
    });
    expect(variables(['dhcp-option DNS 9.9.9.9', 'dns search-domains a'], /^foreign_/)).toEqual({
      foreign_option_1: 'dhcp-option DNS 9.9.9.9',
      foreign_option_2: 'dhcp-option DOMAIN-SEARCH a',
    });
  });

  it('counts remotes, and tells how each is called', () => {
    const lines = ['remote a.example 1 udp4', 'remote 2001:db8::1 2 udp6', 'local 192.0.2.1', 'lport 3'];
    expect(variables(lines, /^(?:proto|local|remote)_/)).toEqual({
      proto_1: 'udp4',
      remote_1: 'a.example',
      remote_port_1: '1',
      local_1: '192.0.2.1',
      local_port_1: '3',
      proto_2: 'udp6',
      remote_2: '2001:db8::1',
      remote_port_2: '2',
      local_2: '192.0.2.1',
      local_port_2: '3',
    });
  });

  it('has no local port for nobind', () => {
    expect(variables(['remote a.example', 'nobind'], /^local_/)).toEqual({});
  });

  it('counts routes of each family', () => {
    const lines = [
      'route 10.1.0.0 255.255.0.0',
      'ifconfig-ipv6 fd00::1/64 fd00::2',
      'route-ipv6 fd05::/64 fd09::1 5',
      'route-ipv6 fd06::/64',
      'route 10.2.0.0 255.255.255.0 default 7',
    ];
    expect(variables(lines, /^(?:route|net_gateway|ifconfig_ipv6)/)).toEqual({
      route_network_1: '10.1.0.0',
      route_netmask_1: '255.255.0.0',
      route_gateway_1: '10.254.0.2',
      route_network_2: '10.2.0.0',
      route_netmask_2: '255.255.255.0',
      route_gateway_2: '10.254.0.2',
      route_metric_2: '7',
      route_ipv6_network_1: 'fd05::/64',
      route_ipv6_gateway_1: 'fd09::1',
      route_ipv6_metric_1: '5',
      route_ipv6_network_2: 'fd06::/64',
      route_ipv6_gateway_2: 'fd00::2',
      route_vpn_gateway: '10.254.0.2',
      route_net_gateway: '192.0.2.254',
      net_gateway_ipv6: 'fe80::1',
      ifconfig_ipv6_local: 'fd00::1',
      ifconfig_ipv6_netbits: '64',
      ifconfig_ipv6_remote: 'fd00::2',
    });
  });

  it.each([
    ['1 for redirect-gateway', ['redirect-gateway def1'], true, { redirect_gateway: '1' }],
    ['0 for redirect-private', ['redirect-private'], true, { redirect_gateway: '0' }],
    ['0 without either', [], true, { redirect_gateway: '0' }],
    ['absent before the routes', ['redirect-gateway'], false, {}],
  ])('redirect_gateway is %s', (_, lines, routed, expected) => {
    expect(variables(lines, /^redirect/, { routed })).toEqual(expected);
  });

  it.each([
    ['[AF_INET]192.0.2.2:1194', { trusted_ip: '192.0.2.2', trusted_port: '1194' }],
    ['[AF_INET6]2001:db8::2:1194', { trusted_ip6: '2001:db8::2', trusted_port: '1194' }],
  ])('tells where the peer is: %s', (trusted, expected) => {
    expect(variables([], /^trusted/, { trusted })).toEqual(expected);
  });

  it('has nothing of the device while up-delay waits', () => {
    expect(
      variables(['route 10.1.0.0'], /^(?:dev|tun_mtu|ifconfig|route|script_context)/, { device: undefined }),
    ).toEqual({});
  });

  it('cannot be told lies by setenv', () => {
    expect(variables(['setenv dev evil', 'setenv MINE yes'], /^(?:dev|MINE)$/)).toEqual({
      dev: 'tun3',
      MINE: 'yes',
    });
  });

  it('names the peer of ipchange when there are several, and counts through all of them', () => {
    const file = (n: number) => [
      'dev tun',
      'topology subnet',
      'ifconfig 10.8.0.1 255.255.255.0',
      `peer-address 10.8.0.${n}`,
      `lport ${1200 + n}`,
      `remote 192.0.2.${n}`,
      `secret ${n}.key`,
      'cipher AES-256-CBC',
    ];
    const config = joined({ 'a.conf': file(2), 'b.conf': file(3) });
    expect(scriptEnvironment(config, PROCESS, moment({ name: 'ipchange', peer: 'b' }))).toMatchObject({
      remote_1: '192.0.2.2',
      remote_2: '192.0.2.3',
      tsvpn_peer: 'b',
    });
  });
});

describe('the arguments of a script', () => {
  it.each([
    ['up', [], ['tun3', '1500', '0', '10.254.0.1', '10.254.0.2', 'init']],
    [
      'down',
      ['topology subnet', 'ifconfig 10.8.0.1 255.255.255.0'],
      ['tun3', '1500', '0', '10.8.0.1', '255.255.255.0', 'init'],
    ],
    ['route-pre-down', [], ['tun3', '1500', '0', '10.254.0.1', '10.254.0.2', 'init']],
    ['route-up', [], []],
    ['ipchange', [], ['[AF_INET]192.0.2.2 1194']],
  ] as const)('of %s %j', (name, lines, expected) => {
    const trusted = '[AF_INET]192.0.2.2:1194';
    expect(scriptArguments(gatewayOf(lines), moment({ name, trusted }))).toEqual(expected);
  });
});
