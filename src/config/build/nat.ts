/** The `nat` lines and what steers them. */
import type { NatConfig } from '../model.ts';

/** Timers in seconds: the values of the RFCs (4787, 5382, 5508, 6888, 7857) where they name one. */
export const NAT_DEFAULTS: NatConfig = {
  lines: [],
  ports: { first: 61000, last: 65534 },
  timeouts: {
    udp: 300,
    udpOneWay: 120,
    udpDns: 30,
    tcpEstablished: 7440,
    tcpPartial: 240,
    tcpClosing: 240,
    icmp: 60,
    other: 300,
    fragment: 30,
    portQuarantine: 120,
  },
  maxSessions: 65536,
  perHost: 2048,
  tcpMapping: 'edm',
  udpFiltering: 'adf',
  unmatched: 'reinject',
  table: 51820,
  ruleProtocol: 213,
};
