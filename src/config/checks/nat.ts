/** NAT rules that can never match, and netmaps nothing leads to. */
import { formatPosition } from '../../errors.ts';
import type { PortRange, RuleMatch } from '../../nat/rule.ts';
import { formatPrefix, prefixContains } from '../../packet/prefix.ts';
import type { Prefix } from '../../packet/prefix.ts';
import { warn } from '../findings.ts';
import type { Findings } from '../findings.ts';
import type { NatLine } from '../model.ts';
import type { BuiltPeer } from './pair.ts';

function coversPrefix(a: Prefix | undefined, b: Prefix | undefined): boolean {
  if (a === undefined) return true;
  return b !== undefined && a.length <= b.length && prefixContains(a, b.bytes);
}

function coversPorts(a: PortRange | undefined, b: PortRange | undefined): boolean {
  if (a === undefined) return true;
  return b !== undefined && a.first <= b.first && b.last <= a.last;
}

function coversMatch(a: RuleMatch, b: RuleMatch): boolean {
  return (
    coversPrefix(a.source, b.source) &&
    coversPrefix(a.destination, b.destination) &&
    (a.protocol === undefined || a.protocol === b.protocol) &&
    coversPorts(a.sourcePorts, b.sourcePorts) &&
    coversPorts(a.destinationPorts, b.destinationPorts)
  );
}

/** Whether whatever asks `b` has asked `a` before: the same door, or a wider one. `none` stands at all doors. */
function coversDoor(a: NatLine, b: NatLine): boolean {
  if (a.kind === 'none' || b.kind === 'none') return a.kind !== 'dnat';
  if (a.kind === 'snat' && b.kind === 'snat') {
    if (a.target.kind === 'tunnel' || b.target.kind === 'tunnel') {
      const tunnels = a.target.kind === 'tunnel' && b.target.kind === 'tunnel';
      return tunnels && (a.target.peer === undefined || a.target.peer === b.target.peer);
    }
    return a.target.egress === b.target.egress;
  }
  if (a.kind !== 'dnat' || b.kind !== 'dnat') return false;
  if (a.from.kind === 'interface') return b.from.kind === 'interface' && a.from.name === b.from.name;
  return b.from.kind === 'peers' && (a.from.peer === undefined || a.from.peer === b.from.peer);
}

/** An exemption behind `snat` rules may still be for those that follow it. */
function mayMatter(lines: readonly NatLine[], index: number, first: NatLine): boolean {
  const isLate = lines[index].kind === 'none' && first.kind === 'snat';
  return isLate && lines.slice(index + 1).some(({ kind }) => kind === 'snat');
}

/** Warns about rules behind one that takes everything they are for. */
export function checkNatOrder(lines: readonly NatLine[], findings: Findings): void {
  lines.forEach((line, index) => {
    const first = lines
      .slice(0, index)
      .find((earlier) => coversDoor(earlier, line) && coversMatch(earlier.match, line.match));
    if (first === undefined || mayMatter(lines, index, first)) return;
    warn(findings, line.where, 'CONFIG_NAT_COVERED', `\`${line.text}\` never matches`, {
      why: `the first rule that matches decides, and \`${first.text}\` (${formatPosition(first.where)}) covers it`,
      fix: 'move this line in front of the other, or remove it',
    });
  });
}

/** Warns about networks that only a netmap knows: nothing would be sent there. */
export function checkNetmaps(peers: readonly BuiltPeer[], findings: Findings): void {
  if (peers.length < 2) return;
  for (const { config } of peers) {
    for (const { kind, local, where } of config.netmap) {
      if (kind === 'snat') continue;
      const routed = config.peerRoutes.some(({ prefix }) => coversPrefix(prefix, local));
      if (routed) continue;
      const what = `nothing leads to ${formatPrefix(local)} at ${config.name}`;
      warn(findings, where, 'CONFIG_NETMAP_ROUTE', what, {
        why: 'the line translates addresses; which peer packets go to is for routes to say',
        fix: `peer-route ${formatPrefix(local)}`,
      });
    }
  }
}
