/**
 * Static-key datagrams name no peer. Peers have sockets of their own, or share one when it is known for each where it
 * sends from.
 */
import type { SourcePosition } from '../../errors.ts';
import type { Findings } from '../findings.ts';
import type { Settings } from '../draft.ts';
import type { PeerConfig } from '../model.ts';
import { portClaims, type PortClaim } from '../protocols.ts';
import { refusePair } from './pair.ts';
import type { BuiltPeer } from './pair.ts';

const OWN_PORTS = 'give every peer a port of its own: lport NUMBER';

/** A port that one of the peers takes, on one of its ways. */
interface Claim extends PortClaim {
  readonly peer: BuiltPeer;
}

/** Where the peer says which port it listens on, or else where it begins; of a `<connection>` block, its remote. */
function portPosition({ peer: { config, draft }, remote }: Claim): SourcePosition {
  if (remote?.connection !== undefined) return remote.where;
  return draft.settings.localPort?.where ?? config.where;
}

function socketText({ settings }: Claim): string {
  return `${settings.localHost ?? 'all addresses'}, port ${settings.localPort}`;
}

function nameOf({ peer }: Claim): string {
  return peer.config.name;
}

function refuseShared(findings: Findings, first: Claim, second: Claim, why: string, fix: string): void {
  const what = `${nameOf(first)} and ${nameOf(second)} cannot be told apart: both listen on ${socketText(second)}`;
  refusePair(findings, portPosition(first), portPosition(second), {
    code: 'CONFIG_SAME_SOCKET',
    what,
    why: `packets name no peer, and ${why}`,
    fix,
  });
}

function deviceOf({ peer }: Claim): string | undefined {
  return peer.config.transport.bindDevice;
}

/** Two sockets that the kernel would not open beside each other. */
function clash(a: Claim, b: Claim): boolean {
  const sameOrAny = (x: string | undefined, y: string | undefined) =>
    x === y || x === undefined || y === undefined;
  return sameOrAny(a.settings.localHost, b.settings.localHost) && sameOrAny(deviceOf(a), deviceOf(b));
}

function sameSocket(a: Claim, b: Claim): boolean {
  return a.settings.localHost === b.settings.localHost && deviceOf(a) === deviceOf(b);
}

const SOCKET_OPTIONS = {
  mark: 'mark',
  sendBufferBytes: 'sndbuf',
  receiveBufferBytes: 'rcvbuf',
  mtuDiscovery: 'mtu-disc',
  multihome: 'multihome',
  passTos: 'passtos',
} as const satisfies { readonly [K in keyof Settings & keyof PeerConfig['transport']]?: string };

/** Two peers on one socket have one setting of each kind. */
function checkSocketOptions(first: Claim, second: Claim, findings: Findings): void {
  const options = ({ peer, settings }: Claim) => ({ ...peer.config.transport, ...settings });
  const [ofFirst, ofSecond] = [options(first), options(second)];
  for (const key of Object.keys(SOCKET_OPTIONS) as (keyof typeof SOCKET_OPTIONS)[]) {
    if (ofFirst[key] === ofSecond[key]) continue;
    const at = (claim: Claim) => claim.peer.draft.settings[key]?.where ?? portPosition(claim);
    refusePair(findings, at(first), at(second), {
      code: 'CONFIG_SAME_SOCKET',
      what: `${nameOf(first)} and ${nameOf(second)} share a socket, but not its \`${SOCKET_OPTIONS[key]}\``,
      why: `both listen on ${socketText(second)}`,
      fix: `write the same \`${SOCKET_OPTIONS[key]}\` for both; or ${OWN_PORTS}`,
    });
  }
}

/** What is wrong with two peers on one port. */
function checkPair(first: Claim, second: Claim, findings: Findings): void {
  if (first.protocol === 'tcp') {
    const why = `${nameOf(first)} takes one TCP connection, and no second one at that port`;
    refuseShared(findings, first, second, why, OWN_PORTS);
    return;
  }
  if (!sameSocket(first, second)) {
    const why = 'a socket for all addresses or devices takes the port away from one for a single one';
    refuseShared(findings, first, second, why, `name the same \`local\` in both, or ${OWN_PORTS}`);
    return;
  }
  const silent = [first, second].find(({ remote }) => remote === undefined);
  if (silent !== undefined) {
    const why = `${nameOf(silent)} has no \`remote\`: whoever sends could be it`;
    refuseShared(findings, first, second, why, `${OWN_PORTS}; or add \`remote\` to both, without \`float\``);
    return;
  }
  const floating = [first, second].find(({ settings }) => settings.float);
  if (floating !== undefined) {
    const why = `with \`float\` ${nameOf(floating)} may send from anywhere`;
    refuseShared(findings, first, second, why, `${OWN_PORTS}; or remove \`float\``);
    return;
  }
  const { host, port } = first.remote!;
  if (host === second.remote!.host && port === second.remote!.port) {
    const why = `both have the remote ${host}, port ${port}`;
    refuseShared(findings, first, second, why, `${OWN_PORTS}, and \`rport\` accordingly`);
    return;
  }
  checkSocketOptions(first, second, findings);
}

/** One fault for each peer is enough: the first of the others it clashes with. */
function checkPeer(claims: readonly Claim[], others: ReadonlyMap<string, Claim[]>, findings: Findings): void {
  const before = findings.errors.length;
  for (const claim of claims) {
    for (const other of others.get(placeOf(claim)) ?? []) {
      if (clash(other, claim)) checkPair(other, claim, findings);
      if (findings.errors.length > before) return;
    }
  }
}

function placeOf({ protocol, port }: Claim): string {
  return `${protocol} ${port}`;
}

/** Whichever way each of the peers takes at a time, they do not get in each other's way. */
export function checkEndpoints(peers: readonly BuiltPeer[], findings: Findings): void {
  const taken = new Map<string, Claim[]>();
  for (const peer of peers) {
    const all = portClaims(peer.config.transport).map((claim) => ({ ...claim, peer }));
    const claims = all.filter(({ port }) => port !== 0);
    checkPeer(claims, taken, findings);
    for (const claim of claims) {
      const others = taken.get(placeOf(claim));
      if (others === undefined) taken.set(placeOf(claim), [claim]);
      else others.push(claim);
    }
  }
}
