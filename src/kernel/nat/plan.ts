/**
 * What the NAT lines of a config ask of the kernel, given the host as it is now. Pure. There are two ways to get hold of the
 * answers that the kernel would otherwise keep to itself:
 *
 * - capture: the address is this host's own; policy rules before `lookup local` send some of its ports to our device;
 * - alias: the address is nobody's; a route sends it to our device, and the LAN interface answers ARP for it.
 */
import type { GatewayConfig, NatLine } from '../../config/model.ts';
import type { SourcePosition } from '../../errors.ts';
import { familyOf, formatAddress, type Family } from '../../packet/address.ts';
import { everything, formatPrefix, hostPrefix, type Prefix } from '../../packet/prefix.ts';
import type { KernelChange, RuleChange, SysctlChange } from '../change.ts';
import { deviceRoute, withoutRepetitions } from '../plan.ts';
import { CAPTURE_PRIORITY } from '../rules.ts';
import { interfaceAddress, isOwnAddress, type HostInterfaces } from '../snapshot.ts';

/** What the plan depends on besides the config. */
export interface NatHost extends HostInterfaces {
  /** Interface by which the kernel reaches an address; undefined when it cannot. */
  readonly egressDevice: (address: Uint8Array) => string | undefined;
  /** net.ipv6.conf.all.forwarding: without it forwarding must be forced, interface by interface (Linux 6.17). */
  readonly ipv6Forwarding: boolean;
}

/** Ports of an address of this host that come to us instead. */
export interface Capture {
  readonly address: Uint8Array;
  readonly ports: PortSpan;
  readonly transports: readonly Transport[];
  /** `masquerade` lends ports to sessions from inside; a `forward` lets sessions in. */
  readonly purpose: 'masquerade' | 'forward';
  readonly where: SourcePosition;
}

/** An address of the LAN that is lent to us. */
export interface Alias {
  readonly device: string;
  readonly address: Uint8Array;
  /** Somebody, cloud-init for example, has configured it on this host all the same. */
  readonly configured: boolean;
  readonly where: SourcePosition;
}

export interface NatPlan {
  readonly changes: readonly KernelChange[];
  /**
   * By position of the line in the config: the address that sessions of an `snat ... out` or `dnat from peers ... snat`
   * line come out of, or that a `dnat in` line captures. Undefined for other lines, and as long as the interface has none.
   */
  readonly addresses: readonly (Uint8Array | undefined)[];
  /** IPv4 addresses of this host that sessions of ours use: ICMP about those sessions comes to the host, see raw-icmp.ts. */
  readonly icmpAddresses: readonly Uint8Array[];
  readonly captures: readonly Capture[];
  readonly aliases: readonly Alias[];
  /** Interfaces between which and our device packets pass; `inward` when sessions may begin there. */
  readonly interfaces: ReadonlyMap<string, { readonly inward: boolean }>;
  /** What cannot be done yet, and why: `eth1 has no IPv4 address`. */
  readonly missing: readonly string[];
}

export type Transport = 'tcp' | 'udp';
export interface PortSpan {
  readonly first: number;
  readonly last: number;
}

/** Collects what the lines ask for. */
interface Draft {
  readonly config: GatewayConfig;
  readonly device: string;
  readonly host: NatHost;
  readonly addresses: (Uint8Array | undefined)[];
  readonly captures: Capture[];
  readonly aliases: Alias[];
  readonly interfaces: Map<string, { readonly inward: boolean }>;
  readonly families: Set<Family>;
  readonly rules: RuleChange[];
  readonly missing: string[];
}

export function planNat(config: GatewayConfig, device: string, host: NatHost): NatPlan {
  const draft: Draft = {
    config,
    device,
    host,
    addresses: config.nat.lines.map(() => undefined),
    captures: [],
    aliases: [],
    interfaces: new Map(),
    families: new Set(),
    rules: [],
    missing: [],
  };
  config.nat.lines.forEach((line, position) => planLine(draft, line, position));
  const { addresses, captures, aliases, interfaces, missing } = draft;
  return {
    changes: changesOf(draft),
    addresses,
    icmpAddresses: ownAddresses(captures, host),
    captures,
    aliases,
    interfaces,
    missing: [...new Set(missing)],
  };
}

function ownAddresses(captures: readonly Capture[], { addresses }: NatHost): Uint8Array[] {
  const own = captures.filter(({ address }) => address.length === 4 && isOwnAddress(addresses, address));
  return [...new Map(own.map(({ address }) => [formatAddress(address), address])).values()];
}

function planLine(draft: Draft, line: NatLine, position: number): void {
  if (line.kind === 'snat') {
    const { target } = line;
    if (target.kind === 'masquerade') planMasquerade(draft, line, target.egress, position);
    else if (target.kind === 'alias') planAlias(draft, line, target.egress, target.address, position);
    else passThrough(draft, line.match.source?.bytes, true);
  } else if (line.kind === 'dnat') {
    const egress = draft.host.egressDevice(line.to);
    if (line.from.kind === 'interface') planForward(draft, line, line.from.name, position);
    else if (line.snat && isOutside(draft, egress)) planMasquerade(draft, line, egress, position);
    else passThrough(draft, line.to, false);
  }
}

/**
 * `snat SRC out IF masquerade`, and `dnat from peers ... snat`: sessions come out of the interface's own address, from ports
 * kept free for it.
 */
function planMasquerade(draft: Draft, line: NatLine, egress: string, position: number): void {
  const { host, config } = draft;
  if (!useInterface(draft, egress, 4, false)) return;
  const address = interfaceAddress(host.addresses, egress, 4);
  if (address === undefined) {
    draft.missing.push(`${egress} has no IPv4 address`);
    return;
  }
  draft.addresses[position] = address;
  const { ports } = config.nat;
  const transports = ['tcp', 'udp'] as const;
  draft.captures.push({ address, ports, transports, purpose: 'masquerade', where: line.where });
  for (const transport of transports) {
    draft.rules.push(capture(draft, { to: hostPrefix(address), incoming: egress, transport, ports }));
  }
}

/** `snat SRC out IF to ADDRESS`. */
function planAlias(draft: Draft, line: NatLine, egress: string, address: Uint8Array, position: number): void {
  const configured = isOwnAddress(draft.host.addresses, address);
  if (!useInterface(draft, egress, familyOf(address), false)) return;
  draft.addresses[position] = address;
  if (draft.aliases.some((alias) => formatAddress(alias.address) === formatAddress(address))) return;
  draft.aliases.push({ device: egress, address, configured, where: line.where });
  // Table local would win over the route of an address that is configured: then all of it is captured. Not for IPv6, which
  // would lose its neighbour discovery; preflight refuses that.
  if (configured && address.length === 4) draft.rules.push(capture(draft, { to: hostPrefix(address) }));
}

/** `dnat in IF ...`: ports of the host's own address lead somewhere else, for the host itself as well. */
function planForward(
  draft: Draft,
  line: NatLine & { readonly kind: 'dnat' },
  incoming: string,
  position: number,
): void {
  const { match, where } = line;
  const family = familyOf(line.to);
  if (!useInterface(draft, incoming, family, true)) return;
  const targets = captureTargets(draft, match.destination, incoming, family);
  if (targets.length === 0) draft.missing.push(`${incoming} has no IPv${family} address`);
  draft.addresses[position] = targets[0]?.bytes;
  const ports = match.destinationPorts;
  const transports = transportsOf(match.protocol);
  if (ports === undefined || transports.length === 0) return;
  // A line without `src` has all addresses for its source, and the rule none.
  const from = match.source?.length === 0 ? undefined : match.source;
  for (const to of targets) {
    draft.captures.push({ address: to.bytes, ports, transports, purpose: 'forward', where });
    for (const transport of transports) {
      draft.rules.push(
        capture(draft, { to, incoming, transport, ports, from }),
        capture(draft, { to, incoming: 'lo', transport, ports, from }),
      );
    }
  }
}

function captureTargets(
  { host }: Draft,
  destination: Prefix | undefined,
  incoming: string,
  family: Family,
): Prefix[] {
  if (destination !== undefined && destination.length > 0) return [destination];
  const own = host.addresses.filter(
    ({ device, global, local }) => device === incoming && global && familyOf(local) === family,
  );
  return own.map(({ local }) => hostPrefix(local));
}

/** Packets pass between our device and wherever `address` is. */
function passThrough(draft: Draft, address: Uint8Array | undefined, inward: boolean): void {
  const device = address === undefined ? undefined : draft.host.egressDevice(address);
  if (address !== undefined && isOutside(draft, device)) {
    useInterface(draft, device, familyOf(address), inward);
  }
}

/** Is it an interface of the host to somewhere else? */
function isOutside(draft: Draft, device: string | undefined): device is string {
  return device !== undefined && device !== draft.device && device !== 'lo';
}

/** False when there is no such interface (yet): nothing can be done about it then. */
function useInterface(draft: Draft, name: string, family: Family, inward: boolean): boolean {
  if (!draft.host.devices.includes(name)) {
    draft.missing.push(`there is no interface ${name}`);
    return false;
  }
  draft.families.add(family);
  draft.interfaces.set(name, { inward: inward || draft.interfaces.get(name)?.inward === true });
  return true;
}

function capture(
  { config }: Draft,
  match: {
    readonly to: Prefix;
    readonly from?: Prefix | undefined;
    readonly incoming?: string;
    readonly transport?: Transport;
    readonly ports?: PortSpan;
  },
): RuleChange {
  const { to, from, incoming, transport, ports } = match;
  return {
    kind: 'rule',
    family: familyOf(to.bytes),
    priority: CAPTURE_PRIORITY,
    // The kernel does not remember that `from 0.0.0.0/0` was said.
    ...(from === undefined || from.length === 0 ? {} : { from: formatPrefix(from) }),
    to: formatPrefix(to),
    ...(incoming === undefined ? {} : { incoming }),
    ...(transport === undefined ? {} : { transport }),
    ...(ports === undefined ? {} : { destinationPorts: ports }),
    table: config.nat.table,
    protocol: config.nat.ruleProtocol,
  };
}

/** Rules come last: they take effect when everything behind them is in place. */
function changesOf(draft: Draft): KernelChange[] {
  const { config, device, rules } = draft;
  const { table, ruleProtocol: protocol } = config.nat;
  const captured = ([4, 6] as const).filter((family) => rules.some((rule) => rule.family === family));
  return withoutRepetitions([
    ...settings(draft),
    ...draft.aliases.flatMap((alias) => aliasChanges(alias, device)),
    ...captured.map((family): KernelChange => ({ ...deviceRoute(everything(family), device), table })),
    ...rules,
    ...captured.map((family): KernelChange => ({ kind: 'local-rule-last', family, protocol })),
  ]);
}

function aliasChanges({ device: lan, address, configured }: Alias, device: string): KernelChange[] {
  const family = familyOf(address);
  const answer: KernelChange = {
    kind: 'proxy-neighbour',
    family,
    address: formatAddress(address),
    device: lan,
  };
  return configured ? [answer] : [deviceRoute(hostPrefix(address), device), answer];
}

/** Forwarding is a setting of the interface a packet comes in by; net.ipv4.ip_forward may stay 0. */
function settings({ config, device, host, interfaces, families, aliases, captures }: Draft): SysctlChange[] {
  const set = (family: Family, on: string, name: SysctlChange['name'], value = 1): SysctlChange => {
    return { kind: 'sysctl', family, device: on, name, value };
  };
  const devices = interfaces.size === 0 ? [] : [device, ...interfaces.keys()];
  const changes: SysctlChange[] = [];
  if (families.has(4)) changes.push(...devices.map((on) => set(4, on, 'forwarding')));
  if (families.has(6) && !host.ipv6Forwarding) {
    changes.push(...devices.map((on) => set(6, on, 'force_forwarding')));
  }
  // ND proxying looks at this flag, whatever else forwards.
  for (const alias of aliases.filter(({ address }) => address.length === 16)) {
    changes.push(set(6, alias.device, 'forwarding'), set(6, alias.device, 'proxy_ndp'));
  }
  // A packet to the host itself that we hand back comes from a source that is not behind our device: strict filtering
  // (1, of all or of this device) would drop it, loose filtering does not.
  if (config.nat.unmatched === 'reinject' && captures.some(({ address }) => address.length === 4)) {
    changes.push(set(4, device, 'rp_filter', 2));
  }
  return changes;
}

function transportsOf(protocol: number | undefined): readonly Transport[] {
  if (protocol === undefined) return ['tcp', 'udp'];
  return protocol === 6 ? ['tcp'] : protocol === 17 ? ['udp'] : [];
}
