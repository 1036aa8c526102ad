/**
 * Is it safe to attach the NAT to this host? Refuses what would break the host or fail later without a word, each with the
 * change that helps, and warns of what only might. Looks, and changes nothing.
 */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import type { GatewayConfig } from '../../config/model.ts';
import { OperatorError, OperatorErrors } from '../../errors.ts';
import { withNetlink, type Netlink } from '../../ffi/netlink.ts';
import { formatAddress } from '../../packet/address.ts';
import type { KernelChange } from '../change.ts';
import { readSetting } from '../device-settings.ts';
import { linkByName } from '../rtnetlink.ts';
import { checkPorts } from './check-ports.ts';
import { checkNetworkd, checkRules } from './check-rules.ts';
import { refusal, type Finding, type PreflightWarning } from './finding.ts';
import { acceptCommands, droppingChains } from './firewall.ts';
import type { NatPlan } from './plan.ts';

/**
 * Throws OperatorErrors with everything that forbids the attachment; returns what only deserves a word. `applied` are the
 * changes of an earlier plan of ours.
 */
export function preflight(
  config: GatewayConfig,
  device: string,
  plan: NatPlan,
  applied: readonly KernelChange[] = [],
): PreflightWarning[] {
  const hasRules = plan.changes.some(({ kind }) => kind === 'rule');
  const found = withNetlink((netlink) => [
    ...checkDevice(netlink, device, plan),
    ...(hasRules
      ? [...checkKernel(), ...checkRules(netlink, config, device, plan, applied), ...checkNetworkd()]
      : []),
    ...checkPorts(config, plan.captures),
    ...checkIpv6(device, plan),
    ...checkFirewall(device, plan),
  ]);
  const findings = distinct(found);
  const refusals = findings.filter((finding) => finding instanceof OperatorError);
  if (refusals.length > 0) throw new OperatorErrors(refusals);
  return findings.flatMap((finding) => (finding instanceof OperatorError ? [] : [finding]));
}

/** Two lines of the config may run into the same. */
function distinct(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((finding) => [finding.what, finding])).values()];
}

function checkDevice(netlink: Netlink, device: string, { captures, aliases }: NatPlan): Finding[] {
  if (captures.length + aliases.length === 0 || linkByName(netlink, device)?.persistent !== true) return [];
  return [
    refusal({
      code: 'NAT_PERSISTENT_DEVICE',
      what: `the device ${device} is persistent, and NAT must not lead to such a one`,
      why: 'it would stay when tsvpn is killed, and swallow the packets that otherwise reach the host again',
      fix: `ip tuntap del dev ${device} mode tun\n(tsvpn makes the device itself)`,
      directives: ['dev'],
    }),
  ];
}

/** Older kernels ignore what they do not know in a rule: it would capture everything to the address. */
function checkKernel(): Finding[] {
  const [major, minor] = release().split('.').map(Number);
  if (major > 4 || (major === 4 && minor >= 17)) return [];
  return [
    refusal({
      code: 'NAT_KERNEL',
      what: `Linux ${release()} has no policy rules for ports`,
      why: 'they came with Linux 4.17',
      fix: 'use a spare address instead: nat snat ... out IF to ADDRESS',
      directives: ['nat'],
    }),
  ];
}

function checkIpv6(device: string, { changes, aliases }: NatPlan): Finding[] {
  const forced = changes.filter((change) => change.kind === 'sysctl' && change.name === 'force_forwarding');
  const supported = readSetting({ family: 6, device, name: 'force_forwarding' }) !== undefined;
  const ipv6Aliases = aliases.filter(({ address }) => address.length === 16);
  return [
    ...(forced.length > 0 && !supported ? [ipv6NotForwarded()] : []),
    ...ipv6Aliases.filter(({ configured }) => configured).map(aliasConfigured),
    ...ipv6Aliases.filter((alias) => acceptsAdvertisements(alias.device)).map(losesAdvertisements),
  ];
}

function ipv6NotForwarded(): Finding {
  return refusal({
    code: 'NAT_IPV6_FORWARDING',
    what: 'this kernel forwards IPv6 on all interfaces or on none, and now it is none',
    why: 'forwarding by interface came with Linux 6.17; tsvpn does not switch it on for all, because the host would then ignore router advertisements',
    fix: 'sysctl -w net.ipv6.conf.all.forwarding=1\n(and accept_ra=2 on an interface that gets its default route by advertisements)',
    directives: ['nat'],
  });
}

/** A capture of the whole address would take the host's neighbour discovery away. */
function aliasConfigured({ address, device, where }: NatPlan['aliases'][number]): Finding {
  return refusal({
    code: 'NAT_ALIAS_CONFIGURED',
    what: `${formatAddress(address)} is an address of this host itself`,
    why: 'what arrives for it stays here, and IPv6 needs it here for neighbour discovery',
    fix: `take it off the interface: ip -6 address del ${formatAddress(address)}/64 dev ${device}\nor name another address`,
    where,
  });
}

function acceptsAdvertisements(device: string): boolean {
  try {
    return readFileSync(`/proc/sys/net/ipv6/conf/${device}/accept_ra`, 'utf8').trim() === '1';
  } catch {
    return false;
  }
}

function losesAdvertisements({ device }: NatPlan['aliases'][number]): Finding {
  return {
    code: 'NAT_ROUTER_ADVERTISEMENTS',
    what: `${device} will ignore router advertisements`,
    why: 'answering for a neighbour makes it a router to the kernel, and a router gets no default route that way',
    fix: `sysctl -w net.ipv6.conf.${device}.accept_ra=2`,
  };
}

function checkFirewall(device: string, { interfaces }: NatPlan): Finding[] {
  if (interfaces.size === 0) return [];
  return droppingChains().map((chain) => ({
    code: 'NAT_FIREWALL',
    what: `a firewall drops forwarded packets: ${chain.text}`,
    why: 'translated packets pass there like any others; tsvpn changes no firewall',
    fix: [...interfaces]
      .flatMap(([lan, { inward }]) => acceptCommands(chain, device, lan, inward))
      .join('\n'),
  }));
}
