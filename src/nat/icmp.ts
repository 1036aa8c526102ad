/** ICMP (RFC 792) and ICMPv6 (RFC 4443) messages as translation sees them: queries, errors with their quote, others. */
import type { Family } from '../packet/address.ts';

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_ICMPV6 = 58;
/** Type, code, checksum and 4 bytes whose meaning is the type's. */
export const ICMP_HEADER = 8;
export const ICMP_CHECKSUM = 2;
/** Of a query. */
export const ICMP_IDENTIFIER = 4;

export const Icmp = {
  EchoReply: 0,
  Unreachable: 3,
  SourceQuench: 4,
  Echo: 8,
  TimeExceeded: 11,
  ParameterProblem: 12,
  Timestamp: 13,
  TimestampReply: 14,
} as const;

const Icmpv6 = {
  Unreachable: 1,
  TooBig: 2,
  TimeExceeded: 3,
  ParameterProblem: 4,
  Echo: 128,
  EchoReply: 129,
} as const;

export function icmpClass(family: Family, type: number): 'icmp-query' | 'icmp-error' | 'other' {
  return family === 4 ? icmpv4Class(type) : icmpv6Class(type);
}

function icmpv4Class(type: number): 'icmp-query' | 'icmp-error' | 'other' {
  switch (type) {
    case Icmp.Echo:
    case Icmp.EchoReply:
    case Icmp.Timestamp:
    case Icmp.TimestampReply:
      return 'icmp-query';
    case Icmp.Unreachable:
    case Icmp.SourceQuench:
    case Icmp.TimeExceeded:
    case Icmp.ParameterProblem:
      return 'icmp-error';
    default:
      return 'other';
  }
}

function icmpv6Class(type: number): 'icmp-query' | 'icmp-error' | 'other' {
  if (type === Icmpv6.Echo || type === Icmpv6.EchoReply) return 'icmp-query';
  return type >= Icmpv6.Unreachable && type <= Icmpv6.ParameterProblem ? 'icmp-error' : 'other';
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
  if (family === 4) return type === Icmp.SourceQuench ? 0 : 4 * bytes[icmp + 5];
  return type === Icmpv6.Unreachable || type === Icmpv6.TimeExceeded ? 8 * bytes[icmp + 4] : 0;
}
