/**
 * States of a session, and what a packet changes in them. TCP follows RFC 7857 figure 1 (from RFC 6146 3.5.2.2), without
 * looking at sequence numbers: a reset is believed only for as long as nothing follows it (RFC 7857 2.2).
 *
 *                   reply                    ACK                    FIN                       other side's FIN
 *     TcpSynSent ──────────▶ TcpSynReceived ─────▶ TcpEstablished ─────▶ TcpFinOriginal/Reply ──────────────────▶ TcpClosing
 *          ▲                                          │    ▲  RST from any state                                   │
 *          └───── new SYN ──── TcpReset ◀─────────────┘    └─ data after it                        new SYN ─▶ TcpSynSent
 *
 * A simultaneous open (RFC 5382 REQ-2a) goes the same way: the other side's SYN is a reply. A session picked up in the
 * middle, after a restart, begins in TcpSynSent too: if the far end knows the connection it goes on, else its RST ends it.
 */
import { PROTOCOL_ICMP } from '../packet/icmp.ts';
import { PROTOCOL_TCP, TcpFlag } from '../packet/tcp.ts';
import { PROTOCOL_UDP } from '../packet/udp.ts';
import type { NatTimeouts } from './rule.ts';

/** Which way a packet of a session goes: as the one that opened it, or back. */
export const ORIGINAL = 0;
export const REPLY = 1;

export const SessionState = {
  Free: 0,
  UdpOneWay: 1,
  UdpAssured: 2,
  /** Question and answer on port 53 or 123 (RFC 4787 REQ-5a). */
  UdpAnswered: 3,
  IcmpOneWay: 4,
  IcmpAssured: 5,
  OtherOneWay: 6,
  OtherAssured: 7,
  TcpSynSent: 8,
  /** Answered, and the answer not yet acknowledged. */
  TcpSynReceived: 9,
  TcpEstablished: 10,
  TcpFinOriginal: 11,
  TcpFinReply: 12,
  TcpClosing: 13,
  TcpReset: 14,
} as const;
export type SessionState = (typeof SessionState)[keyof typeof SessionState];

const STATE_COUNT = 15;

/** For people, indexed by state. */
export const STATE_NAMES: readonly string[] = [
  'free',
  'one-way',
  'assured',
  'answered',
  'one-way',
  'assured',
  'one-way',
  'assured',
  'syn-sent',
  'syn-received',
  'established',
  'fin-wait',
  'close-wait',
  'closing',
  'reset',
];

/** A bit for each state that `isHalfOpen`. */
const HALF_OPEN =
  (1 << SessionState.UdpOneWay) |
  (1 << SessionState.IcmpOneWay) |
  (1 << SessionState.OtherOneWay) |
  (1 << SessionState.TcpSynSent) |
  (1 << SessionState.TcpSynReceived);

const DNS = 53;
const NTP = 123;

/** Seconds without a refreshing packet after which a session in a state ends, indexed by state. */
export function timeoutTable(timeouts: NatTimeouts): Int32Array {
  const table = new Int32Array(STATE_COUNT);
  table[SessionState.UdpOneWay] = timeouts.udpOneWay;
  table[SessionState.UdpAssured] = timeouts.udp;
  table[SessionState.UdpAnswered] = timeouts.udpDns;
  table[SessionState.IcmpOneWay] = timeouts.icmp;
  table[SessionState.IcmpAssured] = timeouts.icmp;
  table[SessionState.OtherOneWay] = timeouts.other;
  table[SessionState.OtherAssured] = timeouts.other;
  table[SessionState.TcpSynSent] = timeouts.tcpPartial;
  table[SessionState.TcpSynReceived] = timeouts.tcpPartial;
  table[SessionState.TcpEstablished] = timeouts.tcpEstablished;
  table[SessionState.TcpFinOriginal] = timeouts.tcpEstablished;
  table[SessionState.TcpFinReply] = timeouts.tcpEstablished;
  table[SessionState.TcpClosing] = timeouts.tcpClosing;
  // RFC 7857 2.1: "the transitory connection idle-timeout", 4 minutes, after a RST as well.
  table[SessionState.TcpReset] = timeouts.tcpPartial;
  return table;
}

export function firstState(protocol: number): SessionState {
  switch (protocol) {
    case PROTOCOL_TCP:
      return SessionState.TcpSynSent;
    case PROTOCOL_UDP:
      return SessionState.UdpOneWay;
    case PROTOCOL_ICMP:
      return SessionState.IcmpOneWay;
    default:
      return SessionState.OtherOneWay;
  }
}

/** Not yet answered, or a handshake that is not finished: what may be evicted for lack of room. */
export function isHalfOpen(state: SessionState): boolean {
  return (HALF_OPEN & (1 << state)) !== 0;
}

/**
 * State after a packet in `direction` (ORIGINAL or REPLY); `port` is the destination port of the original direction.
 * `halfOpen`: the session never got as far as TcpEstablished; a reset does not change that.
 */
export function nextState(
  state: SessionState,
  direction: number,
  tcpFlags: number,
  port: number,
  halfOpen: boolean,
): SessionState {
  if (state >= SessionState.TcpSynSent) return nextTcpState(state, direction, tcpFlags, halfOpen);
  if (direction === ORIGINAL) return state;
  if (state === SessionState.UdpOneWay) {
    return port === DNS || port === NTP ? SessionState.UdpAnswered : SessionState.UdpAssured;
  }
  if (state === SessionState.IcmpOneWay) return SessionState.IcmpAssured;
  return state === SessionState.OtherOneWay ? SessionState.OtherAssured : state;
}

function nextTcpState(
  state: SessionState,
  direction: number,
  flags: number,
  halfOpen: boolean,
): SessionState {
  if ((flags & TcpFlag.Rst) !== 0) return SessionState.TcpReset;
  const syn = (flags & TcpFlag.Syn) !== 0;
  const ack = (flags & TcpFlag.Ack) !== 0;
  const isNew = direction === ORIGINAL && syn && !ack;
  if (state === SessionState.TcpSynSent) {
    return direction === REPLY ? SessionState.TcpSynReceived : state;
  }
  if (state === SessionState.TcpSynReceived) {
    const finished = direction === ORIGINAL && ack;
    return finished ? afterFin(SessionState.TcpEstablished, direction, flags) : state;
  }
  // The same 5-tuple again (RFC 9293 3.6.1, RFC 6191).
  if (state === SessionState.TcpClosing) return isNew ? SessionState.TcpSynSent : state;
  if (state !== SessionState.TcpReset) return afterFin(state, direction, flags);
  if (halfOpen) return nextTcpState(SessionState.TcpSynSent, direction, flags, halfOpen);
  return isNew ? SessionState.TcpSynSent : afterFin(SessionState.TcpEstablished, direction, flags);
}

function afterFin(state: SessionState, direction: number, flags: number): SessionState {
  if ((flags & TcpFlag.Fin) === 0) return state;
  const own = direction === ORIGINAL ? SessionState.TcpFinOriginal : SessionState.TcpFinReply;
  return state === SessionState.TcpEstablished || state === own ? own : SessionState.TcpClosing;
}
