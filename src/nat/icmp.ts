/** ICMP messages as translation sees them: queries, errors and what they quote, others. */
import type { Family } from '../packet/address.ts';
import { ICMP_HEADER, IcmpType, Icmpv6Type } from '../packet/icmp.ts';

export function icmpClass(family: Family, type: number): 'icmp-query' | 'icmp-error' | 'other' {
  return family === 4 ? icmpv4Class(type) : icmpv6Class(type);
}

function icmpv4Class(type: number): 'icmp-query' | 'icmp-error' | 'other' {
  switch (type) {
    case IcmpType.Echo:
    case IcmpType.EchoReply:
    case IcmpType.Timestamp:
    case IcmpType.TimestampReply:
      return 'icmp-query';
    case IcmpType.Unreachable:
    case IcmpType.SourceQuench:
    case IcmpType.TimeExceeded:
    case IcmpType.ParameterProblem:
      return 'icmp-error';
    default:
      return 'other';
  }
}

function icmpv6Class(type: number): 'icmp-query' | 'icmp-error' | 'other' {
  if (type === Icmpv6Type.Echo || type === Icmpv6Type.EchoReply) return 'icmp-query';
  return type >= Icmpv6Type.Unreachable && type <= Icmpv6Type.ParameterProblem ? 'icmp-error' : 'other';
}

/** RFC 4884 5: a message with extensions says how long the quote in front of them is; never less than this. */
const LEAST_EXTENDED_QUOTE = 128;

/** Offset behind what the error at `icmp` quotes: the message's `end`, or where RFC 4884 extensions begin. */
export function quoteEnd(bytes: Uint8Array, family: Family, icmp: number, end: number): number {
  const quoted = quotedLength(bytes, family, icmp);
  const extensions = icmp + ICMP_HEADER + quoted;
  return quoted >= LEAST_EXTENDED_QUOTE && extensions <= end ? extensions : end;
}

/** RFC 4884 4: 32-bit words at byte 5, in ICMPv6 64-bit words at byte 4, of the types that have the field. */
function quotedLength(bytes: Uint8Array, family: Family, icmp: number): number {
  const type = bytes[icmp];
  if (family === 4) return type === IcmpType.SourceQuench ? 0 : 4 * bytes[icmp + 5];
  return type === Icmpv6Type.Unreachable || type === Icmpv6Type.TimeExceeded ? 8 * bytes[icmp + 4] : 0;
}
