/** The `nat` lines and what steers them. */
import type { NatTimeouts, NetmapRule } from '../../nat/rule.ts';
import type { Draft } from '../draft.ts';
import { refuse } from '../findings.ts';
import type { Findings } from '../findings.ts';
import type { Word } from '../lexer.ts';
import type { NatConfig, PeerConfig } from '../model.ts';
import { nearest } from '../nearest.ts';
import { agreed } from './shared.ts';

/** Seconds: the values of the RFCs (4787, 5382, 5508, 6888, 7857) where they name one. */
const TIMEOUTS: NatTimeouts = {
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
};

/** The first file that names a timer decides it. */
function timeouts(drafts: readonly Draft[]): NatTimeouts {
  const given = drafts.flatMap(({ natTimeouts }) => Object.entries(natTimeouts)).toReversed();
  return { ...TIMEOUTS, ...Object.fromEntries(given.map(([name, { value }]) => [name, value])) };
}

function checkName(peers: readonly string[], { text, where }: Word, findings: Findings): void {
  if (peers.includes(text)) return;
  const meant = nearest(text, peers);
  refuse(findings, where, 'CONFIG_NAT_PEER', `there is no peer \`${text}\``, {
    fix: meant === undefined ? `the peers are ${peers.join(', ')}` : `did you mean \`${meant}\`?`,
  });
}

/** Records names of peers that are none. */
export function checkNatPeers(drafts: readonly Draft[], peers: readonly string[], findings: Findings): void {
  for (const { natLines, netmaps } of drafts) {
    for (const { peer } of [...natLines, ...netmaps]) {
      if (peer !== undefined) checkName(peers, peer, findings);
    }
  }
}

/** `client-nat` and `nat netmap` of a peer, in the order of the lines. */
export function netmapOf(peer: PeerConfig, drafts: readonly Draft[]): readonly NetmapRule[] {
  const more = drafts.flatMap(({ netmaps }) => netmaps).filter((netmap) => netmap.peer.text === peer.name);
  if (more.length === 0) return peer.netmap;
  const rules = [...peer.netmap, ...more.flatMap(({ rules }) => rules)];
  const files = rules.map(({ where }) => where.file);
  return rules.toSorted(
    (a, b) => files.indexOf(a.where.file) - files.indexOf(b.where.file) || a.where.line - b.where.line,
  );
}

export function buildNat(drafts: readonly Draft[], findings: Findings): NatConfig {
  return {
    lines: drafts.flatMap(({ natLines }) => natLines.map(({ line }) => line)),
    ports: agreed(drafts, 'natPorts', 'nat-ports', findings) ?? { first: 61000, last: 65534 },
    timeouts: timeouts(drafts),
    maxSessions: agreed(drafts, 'natMaxSessions', 'nat-max-sessions', findings) ?? 65536,
    perHost: agreed(drafts, 'natPerHost', 'nat-per-host', findings) ?? 2048,
    tcpMapping: agreed(drafts, 'natTcpMapping', 'nat-mapping', findings) ?? 'edm',
    udpFiltering: agreed(drafts, 'natUdpFiltering', 'nat-filter', findings) ?? 'adf',
    unmatched: agreed(drafts, 'natUnmatched', 'nat-unmatched', findings) ?? 'reinject',
    table: agreed(drafts, 'natTable', 'nat-table', findings) ?? 51820,
    ruleProtocol: agreed(drafts, 'natRuleProtocol', 'nat-rule-protocol', findings) ?? 213,
  };
}
