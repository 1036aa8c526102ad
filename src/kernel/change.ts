/** One change to the kernel's network configuration, as plain data, and the command that equals it. */
import type { SourcePosition } from '../errors.ts';
import type { Family } from '../packet/address.ts';

/**
 * The origin (`proto 86` in `ip route`) of every route tsvpn installs. Stock says 3 (boot), which is also what a
 * hand-typed `ip route add` gets; a number of our own lets undo remove our routes and nobody else's. 86 is free
 * in linux/rtnetlink.h and in iproute2's rt_protos.
 */
export const RTPROT_TSVPN = 86;

export interface AddressChange {
  readonly kind: 'address';
  readonly device: string;
  readonly family: Family;
  readonly local: string;
  /** Point-to-point remote; undefined on a subnet. */
  readonly peer: string | undefined;
  readonly prefixLength: number;
}

export interface RouteChange {
  readonly kind: 'route';
  readonly family: Family;
  readonly network: string;
  readonly prefixLength: number;
  /** As in stock: IPv4 `route` lines name the gateway only and the kernel finds the device... */
  readonly gateway: string | undefined;
  /** ...and IPv6 routes, and those of the routing table, name the device only. */
  readonly device: string | undefined;
  readonly metric: number | undefined;
  /** Number of the kernel's table; main when left out. */
  readonly table?: number;
  /** The config line it follows from. */
  readonly where?: SourcePosition;
}

/** Somebody else's route that has to be out of the way while we are here. */
export interface DisplacedRouteChange {
  readonly kind: 'displaced-route';
  readonly family: Family;
  readonly network: string;
  readonly prefixLength: number;
  readonly gateway: string | undefined;
  readonly device: string;
  readonly metric: number;
}

/**
 * Every route of ours (RTPROT_TSVPN) of a family on a device that is this gateway's own: what the journal has in place of a
 * hundred thousand lines.
 */
export interface DeviceRoutes {
  readonly kind: 'device-routes';
  readonly family: Family;
  readonly device: string;
}

/**
 * A policy rule that sends packets to another table. The transport protocols are these two and no others: ICMP must never
 * be captured, and without ICMPv6 there is no neighbour discovery.
 */
export interface RuleChange {
  readonly kind: 'rule';
  readonly family: Family;
  readonly priority: number;
  readonly from?: string;
  readonly to?: string;
  readonly incoming?: string;
  readonly transport?: 'tcp' | 'udp';
  /** Inclusive; the kernel refuses 65535. */
  readonly destinationPorts?: { readonly first: number; readonly last: number };
  readonly table: number;
  /** Routes of at most this length do not count. */
  readonly suppressPrefixLength?: number;
  /** Origin of the rule, RTPROT_*. */
  readonly protocol: number;
}

/**
 * The rule `lookup local` comes behind our rules of the same priority. It is added anew before it is taken away, so that
 * the host has one at every moment.
 */
export interface LocalRuleLastChange {
  readonly kind: 'local-rule-last';
  readonly family: Family;
  /** Origin of our rules, and of the stand-in during the move. */
  readonly protocol: number;
}

/** A number under /proc/sys/net/ipv4/conf/DEVICE or its IPv6 counterpart. */
export interface SysctlChange {
  readonly kind: 'sysctl';
  readonly family: Family;
  readonly device: string;
  readonly name: 'forwarding' | 'force_forwarding' | 'proxy_ndp' | 'rp_filter';
  readonly value: number;
}

/** The device answers neighbour requests (ARP, ND) for an address that is somewhere else. */
export interface ProxyNeighbourChange {
  readonly kind: 'proxy-neighbour';
  readonly family: Family;
  readonly address: string;
  readonly device: string;
}

export type KernelChange =
  | { readonly kind: 'mtu'; readonly device: string; readonly mtu: number }
  | { readonly kind: 'txqueuelen'; readonly device: string; readonly packets: number }
  /** `address`: xx:xx:xx:xx:xx:xx */
  | { readonly kind: 'link-address'; readonly device: string; readonly address: string }
  /** The device becomes a port of the bridge `master`. */
  | { readonly kind: 'master'; readonly device: string; readonly master: string }
  | AddressChange
  | { readonly kind: 'up'; readonly device: string }
  | RouteChange
  | DisplacedRouteChange
  | RuleChange
  | LocalRuleLastChange
  | SysctlChange
  | ProxyNeighbourChange;

/**
 * What a change is about: two changes with one key cannot both hold. A setting's value is not part of it, everything
 * of an address, a route or a rule is.
 */
export function changeKey(change: KernelChange): string {
  switch (change.kind) {
    case 'mtu':
    case 'txqueuelen':
    case 'link-address':
    case 'master':
      return `${change.kind} ${change.device}`;
    case 'sysctl':
      return sysctlName(change);
    case 'route':
      return routeKey(change);
    case 'address':
    case 'up':
    case 'displaced-route':
    case 'rule':
    case 'local-rule-last':
    case 'proxy-neighbour':
      return renderIp(change);
  }
}

/** Short: there may be a hundred thousand. */
function routeKey({ network, prefixLength, gateway, device, metric = 0, table }: RouteChange): string {
  const target = gateway === undefined ? device : `${gateway} ${device}`;
  const key = `${network}/${prefixLength} ${target}`;
  return metric === 0 && table === undefined ? key : `${key} ${metric} ${table}`;
}

/** The command with the same effect, for `up --dry-run`, `up -v` and error messages. */
export function renderIp(change: KernelChange): string {
  switch (change.kind) {
    case 'mtu':
      return `ip link set dev ${change.device} mtu ${change.mtu}`;
    case 'txqueuelen':
      return `ip link set dev ${change.device} txqueuelen ${change.packets}`;
    case 'link-address':
      return `ip link set dev ${change.device} address ${change.address}`;
    case 'master':
      return `ip link set dev ${change.device} master ${change.master}`;
    case 'address':
      return `ip address add ${addressWords(change)}`;
    case 'up':
      return `ip link set dev ${change.device} up`;
    case 'route':
      return `${ip(change)} route add ${routeWords(change)}`;
    case 'displaced-route':
      return `${ip(change)} route del ${displacedWords(change)}`;
    case 'rule':
      return `${ip(change)} rule add ${ruleWords(change)}`;
    case 'local-rule-last':
      return [
        `${ip(change)} rule add pref 1 lookup local`,
        `${ip(change)} rule del pref 0 lookup local`,
        `${ip(change)} rule add pref 0 lookup local`,
        `${ip(change)} rule del pref 1 lookup local`,
      ].join(' && ');
    case 'sysctl':
      return `sysctl -w ${sysctlName(change)}=${change.value}`;
    case 'proxy-neighbour':
      return `${ip(change)} neigh add proxy ${change.address} dev ${change.device}`;
  }
}

/** The command that takes `change` back, given the value the kernel had `before`, or `saved`; see journal.ts. */
export function renderUndo(
  change: KernelChange | DeviceRoutes,
  before: number | undefined,
  saved?: string,
): string {
  switch (change.kind) {
    case 'device-routes':
      return `${ip(change)} route flush table all dev ${change.device} proto ${RTPROT_TSVPN}`;
    case 'mtu':
      return `ip link set dev ${change.device} mtu ${before}`;
    case 'txqueuelen':
      return `ip link set dev ${change.device} txqueuelen ${before}`;
    case 'link-address':
      return `ip link set dev ${change.device} address ${saved?.replace(/..(?=.)/g, '$&:')}`;
    case 'master':
      return `ip link set dev ${change.device} nomaster`;
    case 'address':
      return `ip address del ${addressWords(change)}`;
    case 'up':
      return `ip link set dev ${change.device} down`;
    case 'route':
      return `${ip(change)} route del ${routeWords(change)}`;
    case 'displaced-route':
      return `${ip(change)} route add ${displacedWords(change)}`;
    case 'rule':
      return `${ip(change)} rule del ${ruleWords(change)}`;
    case 'local-rule-last':
      return `${ip(change)} rule add pref 0 lookup local; ${ip(change)} rule del pref 1 lookup local`;
    case 'sysctl':
      return `sysctl -w ${sysctlName(change)}=${before}`;
    case 'proxy-neighbour':
      return `${ip(change)} neigh del proxy ${change.address} dev ${change.device}`;
  }
}

function ip({ family }: { readonly family: Family }): string {
  return family === 6 ? 'ip -6' : 'ip';
}

function addressWords({ local, peer, prefixLength, device }: AddressChange): string {
  const address = peer === undefined ? `${local}/${prefixLength}` : `${local} peer ${peer}/${prefixLength}`;
  return `${address} dev ${device}`;
}

function routeWords({ network, prefixLength, gateway, device, metric, table }: RouteChange): string {
  const words = [`${network}/${prefixLength}`];
  if (gateway !== undefined) words.push('via', gateway);
  if (device !== undefined) words.push('dev', device);
  if (table !== undefined) words.push('table', String(table));
  if (metric !== undefined && metric > 0) words.push('metric', String(metric));
  return [...words, 'proto', String(RTPROT_TSVPN)].join(' ');
}

function displacedWords({ network, prefixLength, gateway, device, metric }: DisplacedRouteChange): string {
  const via = gateway === undefined ? [] : ['via', gateway];
  const words = [`${network}/${prefixLength}`, ...via, 'dev', device];
  return [...words, ...(metric > 0 ? ['metric', String(metric)] : [])].join(' ');
}

function ruleWords(rule: RuleChange): string {
  const { destinationPorts: ports } = rule;
  const words = ['pref', String(rule.priority)];
  if (rule.from !== undefined) words.push('from', rule.from);
  if (rule.to !== undefined) words.push('to', rule.to);
  if (rule.incoming !== undefined) words.push('iif', rule.incoming);
  if (rule.transport !== undefined) words.push('ipproto', rule.transport);
  if (ports !== undefined) {
    words.push('dport', ports.first === ports.last ? String(ports.first) : `${ports.first}-${ports.last}`);
  }
  words.push('lookup', String(rule.table));
  if (rule.suppressPrefixLength !== undefined)
    words.push('suppress_prefixlength', String(rule.suppressPrefixLength));
  return [...words, 'protocol', String(rule.protocol)].join(' ');
}

/** sysctl(8) takes slashes as well, which leaves the dots of `eth0.100` alone. */
function sysctlName({ family, device, name }: SysctlChange): string {
  const parts = ['net', `ipv${family}`, 'conf', device, name];
  return parts.join(device.includes('.') ? '/' : '.');
}
