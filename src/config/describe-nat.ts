/** NAT lines in words. */
import type { NetmapRule, PortRange, RuleMatch } from '../nat/rule.ts';
import { formatAddress } from '../packet/address.ts';
import { formatPrefix } from '../packet/prefix.ts';
import type { Prefix } from '../packet/prefix.ts';
import type { NatConfig, NatLine } from './model.ts';
import { PROTOCOLS } from './network-words.ts';

/** `port 80`, `ports 8000 to 8010`. */
function describePorts({ first, last }: PortRange): string {
  return first === last ? `port ${first}` : `ports ${first} to ${last}`;
}

function describeProtocol(protocol: number): string {
  const known = Object.entries(PROTOCOLS).find(([, number]) => number === protocol);
  return known?.[0] ?? `protocol ${protocol}`;
}

function describeSource(source: Prefix | undefined): string {
  return source === undefined || source.length === 0 ? 'anything' : formatPrefix(source);
}

/** `, tcp port 80` and the like: what a rule asks for besides the source. */
function describeMatch({ protocol, sourcePorts, destinationPorts, destination }: RuleMatch): string {
  const parts = [
    ...(protocol === undefined ? [] : [describeProtocol(protocol)]),
    ...(sourcePorts === undefined ? [] : [`from ${describePorts(sourcePorts)}`]),
    ...(destination === undefined && destinationPorts === undefined ? [] : ['to']),
    ...(destination === undefined ? [] : [formatPrefix(destination)]),
    ...(destinationPorts === undefined ? [] : [describePorts(destinationPorts)]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join(' ')})`;
}

function describeSnat(line: Extract<NatLine, { kind: 'snat' }>, ports: PortRange): string {
  const subject = `${describeSource(line.match.source)}${describeMatch(line.match)}`;
  switch (line.target.kind) {
    case 'masquerade': {
      const { egress } = line.target;
      return `${subject} leaves ${egress} as ${egress}'s own address, ${describePorts(ports)}`;
    }
    case 'alias':
      return `${subject} leaves ${line.target.egress} as ${formatAddress(line.target.address)}`;
    case 'tunnel': {
      const { peer } = line.target;
      return `${subject} goes ${peer === undefined ? 'into the tunnel' : `to ${peer}`} as this end's tunnel address`;
    }
  }
}

function describeDnat({ from, match, to, toPort, snat }: Extract<NatLine, { kind: 'dnat' }>): string {
  const door = from.kind === 'interface' ? `arriving at ${from.name}` : `from ${from.peer ?? 'any peer'}`;
  const subject = `${describeSource(match.source)}${describeMatch(match)}`;
  const target = `${formatAddress(to)}${toPort === undefined ? '' : ` port ${toPort}`}`;
  return `${door}: ${subject} goes to ${target} instead${snat ? ', as if this end had sent it' : ''}`;
}

/** One line in words, without full stop. */
export function describeNatLine(line: NatLine, { ports }: Pick<NatConfig, 'ports'>): string {
  if (line.kind === 'snat') return describeSnat(line, ports);
  if (line.kind === 'dnat') return describeDnat(line);
  return `${describeSource(line.match.source)}${describeMatch(line.match)} keeps its addresses`;
}

/** A netmap rule in words. */
export function describeNetmap({ kind, local, wire }: NetmapRule, peer: string): string {
  return kind === 'snat'
    ? `${formatPrefix(local)} here is ${formatPrefix(wire)} to ${peer}`
    : `${formatPrefix(wire)} at ${peer} is ${formatPrefix(local)} here`;
}
