/** From the peers of all files to one gateway: what they share, and what has to be the same for all of them. */
import type { Built } from '../build.ts';
import type { Draft } from '../draft.ts';
import type { Findings } from '../findings.ts';
import type { GatewayConfig, InterfaceAddress, InterfaceAddress6, PeerConfig } from '../model.ts';
import { tunnelName } from '../tunnel-name.ts';
import { NAT_DEFAULTS } from './nat.ts';

/** One config file: its lines outside of `<peer>` blocks, and all its peers. */
export interface FilePart {
  readonly file: string;
  readonly draft: Draft;
  readonly peers: readonly Built[];
}

function sameAddress(a: InterfaceAddress, b: InterfaceAddress): boolean {
  if (a.kind === 'p2p') return b.kind === 'p2p' && a.local === b.local && a.remote === b.remote;
  return b.kind === 'subnet' && a.local === b.local && a.prefixLength === b.prefixLength;
}

function sameAddress6(a: InterfaceAddress6, b: InterfaceAddress6): boolean {
  return a.local === b.local && a.prefixLength === b.prefixLength;
}

function withoutRepetitions<T>(items: readonly (T | undefined)[], same: (a: T, b: T) => boolean): T[] {
  const kept: T[] = [];
  for (const item of items) {
    if (item !== undefined && !kept.some((each) => same(each, item))) kept.push(item);
  }
  return kept;
}

function joinDevice(peers: readonly PeerConfig[]): GatewayConfig['device'] {
  const [{ device: first }] = peers;
  return {
    name: first.name,
    node: first.node,
    txQueueLength: first.txQueueLength,
    addresses: withoutRepetitions(
      peers.map(({ device }) => device.address),
      sameAddress,
    ),
    addresses6: withoutRepetitions(
      peers.map(({ device }) => device.address6),
      sameAddress6,
    ),
    noExec: first.noExec,
  };
}

/** The gateway of these files; undefined when one of their peers could not be understood. */
export function joinFiles(parts: readonly FilePart[], findings: Findings): GatewayConfig | undefined {
  const built = parts.flatMap((part) => part.peers);
  const peers = built.flatMap(({ config }) => config ?? []);
  if (peers.length < built.length || peers.length === 0) return undefined;
  const [first] = peers;
  const routeNoExec = peers.every((peer) => peer.routeNoExec);
  return {
    files: parts.map(({ file }) => file),
    name: tunnelName(parts[0].file),
    peers,
    tunMtu: Math.max(...peers.map(({ mtu }) => mtu.tunMtu)),
    device: joinDevice(peers),
    routes: built
      .filter(({ config }) => routeNoExec || config?.routeNoExec === false)
      .flatMap(({ otherRoutes }) => otherRoutes),
    routeNoExec,
    refusals: [],
    clientToClient: false,
    routeFallthrough: false,
    nat: NAT_DEFAULTS,
    log: first.log,
    statusFile: first.statusFile,
    pidFile: first.pidFile,
    warnings: findings.warnings,
  };
}
