/**
 * Static-key datagrams name no peer. Peers have sockets of their own, or share one when it is known for each where it
 * sends from.
 */
import type { SourcePosition } from '../../errors.ts';
import type { ConnectionSettings } from '../connection-settings.ts';
import { refuse } from '../findings.ts';
import type { Findings } from '../findings.ts';
import type { Settings } from '../draft.ts';
import type { PeerConfig, Remote } from '../model.ts';
import { protocolsTaken } from '../protocols.ts';
import { refusePair } from './pair.ts';
import type { BuiltPeer } from './pair.ts';

const OWN_PORTS = 'give every peer a port of its own: lport NUMBER';

/** Where the peer says which port it listens on, or else where it begins. */
function portPosition({ config, draft }: BuiltPeer): SourcePosition {
  return draft.settings.localPort?.where ?? config.where;
}

function socketText({ config: { transport } }: BuiltPeer): string {
  return `${transport.localHost ?? 'all addresses'}, port ${transport.localPort}`;
}

function refuseShared(
  findings: Findings,
  first: BuiltPeer,
  second: BuiltPeer,
  why: string,
  fix: string,
): void {
  const names = `${first.config.name} and ${second.config.name}`;
  const what = `${names} cannot be told apart: both listen on ${socketText(second)}`;
  refusePair(findings, portPosition(first), portPosition(second), {
    code: 'CONFIG_SAME_SOCKET',
    what,
    why: `packets name no peer, and ${why}`,
    fix,
  });
}

/** Two sockets that the kernel would not open beside each other. */
function clash({ config: a }: BuiltPeer, { config: b }: BuiltPeer): boolean {
  const sameOrAny = (x: string | undefined, y: string | undefined) =>
    x === y || x === undefined || y === undefined;
  const [ofA, ofB] = [protocolsTaken(a.transport), protocolsTaken(b.transport)];
  return (
    ofA.some((protocol) => ofB.includes(protocol)) &&
    sameOrAny(a.transport.localHost, b.transport.localHost) &&
    sameOrAny(a.transport.bindDevice, b.transport.bindDevice)
  );
}

function sameSocket({ config: a }: BuiltPeer, { config: b }: BuiltPeer): boolean {
  return a.transport.localHost === b.transport.localHost && a.transport.bindDevice === b.transport.bindDevice;
}

function sharedRemote(a: BuiltPeer, b: BuiltPeer): Remote | undefined {
  return b.config.transport.remotes.find(({ host, port }) =>
    a.config.transport.remotes.some((other) => other.host === host && other.port === port),
  );
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
function checkSocketOptions(first: BuiltPeer, second: BuiltPeer, findings: Findings): void {
  for (const key of Object.keys(SOCKET_OPTIONS) as (keyof typeof SOCKET_OPTIONS)[]) {
    if (first.config.transport[key] === second.config.transport[key]) continue;
    const at = (peer: BuiltPeer) => peer.draft.settings[key]?.where ?? portPosition(peer);
    refusePair(findings, at(first), at(second), {
      code: 'CONFIG_SAME_SOCKET',
      what: `${first.config.name} and ${second.config.name} share a socket, but not its \`${SOCKET_OPTIONS[key]}\``,
      why: `both listen on ${socketText(second)}`,
      fix: `write the same \`${SOCKET_OPTIONS[key]}\` for both; or ${OWN_PORTS}`,
    });
  }
}

/** What is wrong with two peers on one port. */
function checkPair(first: BuiltPeer, second: BuiltPeer, findings: Findings): void {
  const stream = [first, second].find(({ config }) => protocolsTaken(config.transport).includes('tcp'));
  if (stream !== undefined) {
    const why = `${stream.config.name} takes one TCP connection, and no second one at that port`;
    refuseShared(findings, first, second, why, OWN_PORTS);
    return;
  }
  if (!sameSocket(first, second)) {
    const why = 'a socket for all addresses or devices takes the port away from one for a single one';
    refuseShared(findings, first, second, why, `name the same \`local\` in both, or ${OWN_PORTS}`);
    return;
  }
  const silent = [first, second].find(({ config }) => config.transport.remotes.length === 0);
  if (silent !== undefined) {
    const why = `${silent.config.name} has no \`remote\`: whoever sends could be it`;
    refuseShared(findings, first, second, why, `${OWN_PORTS}; or add \`remote\` to both, without \`float\``);
    return;
  }
  const floating = [first, second].find(({ config }) => config.transport.float);
  if (floating !== undefined) {
    const why = `with \`float\` ${floating.config.name} may send from anywhere`;
    refuseShared(findings, first, second, why, `${OWN_PORTS}; or remove \`float\``);
    return;
  }
  const remote = sharedRemote(first, second);
  if (remote !== undefined) {
    const why = `both have the remote ${remote.host}, port ${remote.port}`;
    refuseShared(findings, first, second, why, `${OWN_PORTS}, and \`rport\` accordingly`);
    return;
  }
  checkSocketOptions(first, second, findings);
}

/** The socket of a peer among others may have to be theirs, too, and stays the same from remote to remote. */
function checkConnections({ config: { transport } }: BuiltPeer, findings: Findings): void {
  const socket = (settings: ConnectionSettings) => {
    const { localHost, localPort, bind, bindClient, ipv6Only, mtuDiscovery } = settings;
    return JSON.stringify([localHost, localPort, bind, bindClient, ipv6Only, mtuDiscovery]);
  };
  for (const { connection, where } of transport.remotes) {
    if (connection === undefined || socket(connection) === socket(transport)) continue;
    refuse(findings, where, 'CONFIG_CONNECTION_SOCKET', 'a <connection> block with a socket of its own', {
      why: 'where there are several peers, each keeps its socket from remote to remote, as others may share it',
      fix: 'write port, lport, local, bind, nobind and mtu-disc in front of the first block, and `rport` inside',
    });
  }
}

export function checkEndpoints(peers: readonly BuiltPeer[], findings: Findings): void {
  const byPort = new Map<number, BuiltPeer[]>();
  for (const peer of peers) {
    if (peers.length > 1) checkConnections(peer, findings);
    const { localPort } = peer.config.transport;
    if (protocolsTaken(peer.config.transport).length === 0 || localPort === 0) continue;
    const others = byPort.get(localPort) ?? [];
    // One fault for each peer is enough: the first of the others it clashes with.
    const before = findings.errors.length;
    for (const other of others) {
      if (clash(other, peer)) checkPair(other, peer, findings);
      if (findings.errors.length > before) break;
    }
    byPort.set(localPort, [...others, peer]);
  }
}
