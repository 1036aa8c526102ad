/**
 * What scripts are told, by OpenVPN's names: their environment, which is built from nothing, and the arguments behind their own.
 * Pure.
 */
import { connectionSettings } from '../config/connection-settings.ts';
import type { GatewayConfig, Remote, RouteConfig, ScriptName } from '../config/model.ts';
import { withDns } from '../config/dns.ts';
import { bindsPort, formatProtocol } from '../config/protocols.ts';
import { addressBytes, formatAddress } from '../packet/address.ts';
import { REDIRECTED_IPV6 } from '../kernel/redirect.ts';
import { formatPrefix, maskBytes } from '../packet/prefix.ts';
import type { TransportProtocol } from '../protocol/constants.ts';

/** `init` for the first start and the end, `restart` for what `up-restart` asks for in between. */
export type ScriptContext = 'init' | 'restart';

/** Of the process, the same for all scripts. */
export interface ScriptProcess {
  readonly pid: number;
  /** Unix time, seconds. */
  readonly startTime: number;
  readonly daemon: boolean;
  /** `log` or `log-append`. */
  readonly logRedirect: boolean;
}

/** What is true at the moment a script is run. */
export interface ScriptMoment {
  readonly name: ScriptName;
  readonly context: ScriptContext;
  /** Undefined while `up-delay` waits. */
  readonly device: string | undefined;
  /** The routes have been made: `redirect_gateway` is told. */
  readonly routed: boolean;
  /** Next hops of the host's own default routes, as far as there are any. */
  readonly gateways: { readonly ipv4: string | undefined; readonly ipv6: string | undefined };
  /** Where the peer that was heard last sends from: `[AF_INET]192.0.2.1:1194`. */
  readonly trusted: string | undefined;
  /** The peer `ipchange` is about, when there are several. */
  readonly peer?: string;
  /** Why the tunnel ends or restarts. */
  readonly signal?: string;
}

export type Environment = Readonly<Record<string, string>>;

export function scriptEnvironment(
  config: GatewayConfig,
  process: ScriptProcess,
  moment: ScriptMoment,
): Environment {
  const device = moment.device === undefined ? {} : deviceVariables(config, moment.device, moment);
  return {
    ...Object.fromEntries(config.scripts.environment),
    config: config.files[0],
    verb: String(config.log.verb),
    daemon: bit(process.daemon),
    daemon_log_redirect: bit(process.logRedirect),
    daemon_pid: String(process.pid),
    daemon_start_time: String(process.startTime),
    ...remoteVariables(config),
    ...dnsVariables(config),
    ...foreignOptions(config),
    ...device,
    ...trustedVariables(moment.trusted),
    script_type: moment.name,
    ...(moment.signal === undefined ? {} : { signal: moment.signal }),
    ...(moment.peer === undefined ? {} : { tsvpn_peer: moment.peer }),
  };
}

/** The arguments stock appends; `route-up` gets none. */
export function scriptArguments(config: GatewayConfig, moment: ScriptMoment): string[] {
  if (moment.name === 'route-up') return [];
  if (moment.name === 'ipchange') return [moment.trusted?.replace(/:(\d+)$/, ' $1') ?? ''];
  const address = config.device.addresses.at(0);
  const second = address?.kind === 'subnet' ? address.netmask : address?.remote;
  // The third was the size of the link's packets up to OpenVPN 2.5, and is always 0 since.
  return [
    moment.device ?? '',
    String(config.tunMtu),
    '0',
    address?.local ?? '',
    second ?? '',
    moment.context,
  ];
}

function bit(value: boolean): string {
  return value ? '1' : '0';
}

/** One entry for each remote, or for the local end of a peer without one. */
function remoteVariables({ peers }: GatewayConfig): Environment {
  const entries = peers.flatMap(({ transport }) => {
    const { remotes, remotePort } = transport;
    const local = (protocol: TransportProtocol, remote?: Remote) => {
      const settings = connectionSettings(transport, remote);
      const { localHost, localPort } = settings;
      return {
        ...(localHost === undefined ? {} : { local: localHost }),
        ...(bindsPort(settings, protocol) ? { local_port: String(localPort) } : {}),
      };
    };
    if (remotes.length === 0) {
      return [
        {
          proto: formatProtocol(transport.protocol, transport.family),
          ...local(transport.protocol),
          remote_port: String(remotePort),
        },
      ];
    }
    return remotes.map((remote) => ({
      proto: formatProtocol(remote.protocol, remote.family),
      ...local(remote.protocol, remote),
      remote: remote.host,
      remote_port: String(remote.port),
    }));
  });
  return numbered(entries);
}

/** `name_1`, `name_2`... */
function numbered(entries: readonly Environment[]): Environment {
  return Object.fromEntries(
    entries.flatMap((entry, i) =>
      Object.entries(entry).map(([name, value]) => [`${name}_${i + 1}`, value] as const),
    ),
  );
}

function foreignOptions({ scripts }: GatewayConfig): Environment {
  const options = withDns(scripts.dhcpOptions, scripts.dns);
  return numbered(options.map((option) => ({ foreign_option: `dhcp-option ${option}` })));
}

function dnsVariables({ scripts }: GatewayConfig): Environment {
  const { searchDomains, servers } = scripts.dns;
  const entries = servers.flatMap((server, i) => {
    const variables = {
      ...numbered(
        server.addresses.map(({ address, port }) => ({ address, ...(port === undefined ? {} : { port }) })),
      ),
      ...numbered(server.resolveDomains.map((domain) => ({ resolve_domain: domain }))),
      dnssec: server.dnssec,
      transport: server.transport,
      sni: server.sni,
    };
    return Object.entries(variables).flatMap(([name, value]) =>
      value === undefined ? [] : [[`dns_server_${i + 1}_${name}`, value] as const],
    );
  });
  return {
    ...numbered(searchDomains.map((domain) => ({ dns_search_domain: domain }))),
    ...Object.fromEntries(entries),
  };
}

function deviceVariables(config: GatewayConfig, device: string, moment: ScriptMoment): Environment {
  const { gateways, routed } = moment;
  const { redirect } = config;
  return {
    dev: device,
    dev_type: config.device.type,
    tun_mtu: String(config.tunMtu),
    script_context: moment.context,
    ...addressVariables(config),
    ...routeVariables(config, gateways),
    ...(routed && !config.routeNoExec ? { redirect_gateway: bit(redirect?.ipv4 === 'gateway') } : {}),
  };
}

function addressVariables({ device }: GatewayConfig): Environment {
  const address = device.addresses.at(0);
  const address6 = device.addresses6.at(0);
  return {
    ...(address === undefined
      ? {}
      : {
          ifconfig_local: address.local,
          ...(address.kind === 'subnet'
            ? { ifconfig_netmask: address.netmask }
            : { ifconfig_remote: address.remote }),
        }),
    ...(address6 === undefined
      ? {}
      : {
          ifconfig_ipv6_local: address6.local,
          ifconfig_ipv6_netbits: String(address6.prefixLength),
          ifconfig_ipv6_remote: address6.remote,
        }),
  };
}

/** Stock asks for the host's gateway of a family only when something of that family is to be routed. */
function routeVariables(config: GatewayConfig, gateways: ScriptMoment['gateways']): Environment {
  const routes = [...config.peers.flatMap((peer) => peer.routes), ...config.routes];
  const unique = [...new Set(routes)];
  const ipv4 = unique.filter(({ family }) => family === 4);
  const ipv6 = unique.filter(({ family }) => family === 6);
  const asked4 = ipv4.length > 0 || config.redirect !== undefined;
  const asked6 = ipv6.length > 0 || config.redirect?.ipv6 === true;
  return {
    ...numbered(ipv4.map(route4)),
    ...numbered([...ipv6.map(route6), ...redirected6(config)]),
    ...(config.vpnGateway === undefined || !asked4 ? {} : { route_vpn_gateway: config.vpnGateway }),
    ...(gateways.ipv4 === undefined || !asked4 ? {} : { route_net_gateway: gateways.ipv4 }),
    ...(gateways.ipv6 === undefined || !asked6 ? {} : { net_gateway_ipv6: gateways.ipv6 }),
  };
}

function route4({ network, prefixLength, gateway, metric }: RouteConfig): Environment {
  return {
    route_network: network,
    route_netmask: formatAddress(maskBytes(Uint8Array.of(255, 255, 255, 255), prefixLength)),
    route_gateway: gateway ?? '',
    ...(metric === undefined ? {} : { route_metric: String(metric) }),
  };
}

function route6({ network, prefixLength, namedGateway, metric }: RouteConfig): Environment {
  return {
    route_ipv6_network: `${network}/${prefixLength}`,
    route_ipv6_gateway: namedGateway ?? '::',
    ...(metric === undefined ? {} : { route_ipv6_metric: String(metric) }),
  };
}

/** Stock counts the prefixes of a redirected IPv6 gateway among the routes. */
function redirected6({ redirect, device }: GatewayConfig): Environment[] {
  if (redirect?.ipv6 !== true) return [];
  const gateway = redirect.gateway6 ?? device.addresses6.at(0)?.remote ?? '::';
  return REDIRECTED_IPV6.map((prefix) => {
    return { route_ipv6_network: formatPrefix(prefix), route_ipv6_gateway: gateway };
  });
}

function trustedVariables(trusted: string | undefined): Environment {
  const [, host, port] = /\](.*):(\d+)$/.exec(trusted ?? '') ?? [];
  if (host === undefined) return {};
  const name = addressBytes(host)?.length === 4 ? 'trusted_ip' : 'trusted_ip6';
  return { [name]: host, trusted_port: port };
}
