/** From the peers of all files to one gateway: what they share, and what has to be the same for all of them. */
import { buildFiles, linesOf } from '../build.ts';
import type { Built } from '../build.ts';
import { checkGateway } from '../checks.ts';
import type { Draft } from '../draft.ts';
import { refuse, warn } from '../findings.ts';
import type { Findings } from '../findings.ts';
import type {
  GatewayConfig,
  InterfaceAddress,
  InterfaceAddress6,
  LateRoute,
  PeerConfig,
  PeerRoute,
  RouteConfig,
} from '../model.ts';
import type { SourcePosition } from '../../errors.ts';
import type { DeviceType } from '../../packet/ethernet.ts';
import { MAX_PEERS } from '../../packet/zone.ts';
import { tunnelName } from '../tunnel-name.ts';
import { isDeviceType } from './device.ts';
import { joinManagement } from './management.ts';
import { buildNat, checkNatPeers, netmapOf } from './nat.ts';
import { peerRoute } from './peer-routes.ts';
import { joinProcess } from './process.ts';
import { joinRedirects } from './redirect.ts';
import { joinScripts } from './scripts.ts';
import { agreed } from './shared.ts';

/** One config file: its lines outside of `<peer>` blocks, and all its peers. */
export interface FilePart {
  readonly file: string;
  readonly draft: Draft;
  readonly peers: readonly Built[];
  /** `route` lines that lead to none of the file's own peers. */
  readonly otherRoutes: readonly RouteConfig[];
  readonly lateRoutes: readonly LateRoute[];
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

/** As in stock somebody else is to set the device up: a script, or whoever has made a persistent one. */
function warnWithoutBridge(drafts: readonly Draft[], findings: Findings, where: SourcePosition): void {
  if (drafts.some(({ settings }) => settings.bridge !== undefined || settings.up !== undefined)) return;
  warn(findings, where, 'CONFIG_NO_ADDRESS', 'no `bridge` and no `ifconfig` line: the device is left down', {
    why: 'an `up` script, or another program, has to set it up and put it into a bridge',
    fix: 'bridge br0\n(or `ifconfig ADDRESS NETMASK` for an address of its own)',
  });
}

function warnWithoutAddress(
  drafts: readonly Draft[],
  type: DeviceType,
  findings: Findings,
  file: string,
): void {
  const [{ settings }] = drafts;
  const addressed = drafts.some(
    ({ mentioned, settings: { ifconfigNoExec } }) =>
      mentioned.has('ifconfig') || mentioned.has('ifconfig-ipv6') || ifconfigNoExec !== undefined,
  );
  if (addressed) return;
  const where = settings.device?.where ?? { file, line: 1, column: 1 };
  if (type === 'tap') return warnWithoutBridge(drafts, findings, where);
  warn(findings, where, 'CONFIG_NO_ADDRESS', 'no `ifconfig` line: the device stays down', {
    fix: 'ifconfig 10.254.0.1 10.254.0.2\n(and the two addresses the other way round on the other end)',
  });
}

/** `dev tun` and `dev tap` leave the name open; two names contradict each other. */
function checkDeviceNames(drafts: readonly Draft[], findings: Findings): void {
  const named = drafts.filter(
    ({ settings }) => settings.device !== undefined && !isDeviceType(settings.device.value),
  );
  agreed(named, 'device', 'dev', findings, 'refuse');
}

/** `ifconfig-noexec` in one file holds for the device, and so for all files. */
function warnAboutNoExec(drafts: readonly Draft[], findings: Findings): void {
  const lines = drafts.flatMap(({ settings }) => settings.ifconfigNoExec ?? []);
  if (lines.length === 0 || lines.length === drafts.length) return;
  warn(findings, lines[0].where, 'CONFIG_CONTRADICTION', '`ifconfig-noexec` is in some of the files only', {
    why: 'they share one device, which is left alone then',
    fix: 'write it in all files, or in none',
  });
}

function joinDevice(
  drafts: readonly Draft[],
  peers: readonly PeerConfig[],
  findings: Findings,
): GatewayConfig['device'] {
  warnAboutNoExec(drafts, findings);
  const devices = peers.map(({ device }) => device);
  return {
    type: devices[0].type,
    name: devices.find(({ name }) => name !== undefined)?.name,
    node: agreed(drafts, 'deviceNode', 'dev-node', findings, 'refuse') ?? '/dev/net/tun',
    txQueueLength: agreed(drafts, 'txQueueLength', 'txqueuelen', findings),
    linkAddress: agreed(drafts, 'linkAddress', 'lladdr', findings),
    bridge: agreed(drafts, 'bridge', 'bridge', findings, 'refuse'),
    addresses: withoutRepetitions(
      devices.map(({ address }) => address),
      sameAddress,
    ),
    addresses6: withoutRepetitions(
      devices.map(({ address6 }) => address6),
      sameAddress6,
    ),
    noExec: devices.some(({ noExec }) => noExec),
  };
}

function joinFilesOf(
  drafts: readonly Draft[],
  findings: Findings,
): Pick<GatewayConfig, 'log' | 'statusFile' | 'pidFile'> {
  agreed(drafts, 'status', 'status', findings);
  agreed(drafts, 'pidFile', 'writepid', findings);
  const files = drafts.map(buildFiles);
  return {
    log: {
      verb: agreed(drafts, 'verb', 'verb', findings) ?? 1,
      mute: agreed(drafts, 'mute', 'mute', findings) ?? 0,
      timestamps: drafts.every(({ settings }) => settings.suppressTimestamps === undefined),
    },
    statusFile: files.find(({ statusFile }) => statusFile !== undefined)?.statusFile,
    pidFile: files.find(({ pidFile }) => pidFile !== undefined)?.pidFile,
  };
}

/** Routes by way of another peer's address are that peer's. */
function routesBetween(
  parts: readonly FilePart[],
  peers: readonly PeerConfig[],
): { byPeer: Map<PeerConfig, PeerRoute[]>; kernel: RouteConfig[] } {
  const byPeer = new Map<PeerConfig, PeerRoute[]>(peers.map((peer) => [peer, []]));
  const kernel: RouteConfig[] = [];
  const owners = new Map(
    peers.toReversed().flatMap((peer) => peer.tunnelAddresses.map((address) => [address, peer] as const)),
  );
  for (const { draft, otherRoutes } of parts) {
    const install = draft.settings.routeNoExec === undefined;
    for (const route of otherRoutes) {
      const peer = owners.get(route.gateway ?? '');
      if (peer !== undefined) byPeer.get(peer)?.push(peerRoute(route, install));
      else if (install) kernel.push(route);
    }
  }
  return { byPeer, kernel };
}

function checkCount(peers: readonly PeerConfig[], findings: Findings): void {
  if (peers.length <= MAX_PEERS) return;
  const { where } = peers[MAX_PEERS];
  refuse(findings, where, 'CONFIG_PEERS', `${peers.length} peers; one process has at most ${MAX_PEERS}`);
}

/** The gateway of these files; undefined when one of their peers could not be understood. */
export function joinFiles(
  parts: readonly FilePart[],
  startDirectory: string,
  findings: Findings,
): GatewayConfig | undefined {
  const drafts = parts.map(({ draft }) => draft);
  const built = parts.flatMap((part) => part.peers);
  checkDeviceNames(drafts, findings);
  const everywhere = [...drafts, ...built.map(({ draft }) => draft)];
  warnWithoutAddress(everywhere, built[0]?.deviceType ?? 'tun', findings, parts[0].file);
  checkNatPeers(
    drafts,
    built.map(({ name }) => name),
    findings,
  );
  const understood = built.flatMap(({ config }) => config ?? []);
  if (understood.length < built.length || understood.length === 0) return undefined;
  checkCount(understood, findings);
  const { byPeer, kernel } = routesBetween(parts, understood);
  const peers = understood.map((peer) => ({
    ...peer,
    peerRoutes: [...peer.peerRoutes, ...(byPeer.get(peer) ?? [])],
    netmap: netmapOf(peer, drafts),
  }));
  const device = joinDevice(drafts, peers, findings);
  const config: GatewayConfig = {
    scripts: joinScripts(drafts, findings),
    process: joinProcess(drafts, startDirectory, findings),
    management: joinManagement(drafts, device.addresses, findings),
    files: parts.map(({ file }) => file),
    name: tunnelName(parts[0].file),
    peers,
    tunMtu: Math.max(...peers.map(({ mtu }) => mtu.tunMtu)),
    device,
    routes: kernel,
    routeNoExec: peers.every((peer) => peer.routeNoExec),
    lateRoutes: parts.flatMap(({ lateRoutes }) => lateRoutes),
    redirect: joinRedirects(
      built.flatMap(({ redirect }) => redirect ?? []),
      findings,
    ),
    routeDelaySec: agreed(drafts, 'routeDelay', 'route-delay', findings),
    persistTun: drafts.some(({ settings }) => settings.persistTun !== undefined),
    vpnGateway: built.find(({ vpnGateway }) => vpnGateway !== undefined)?.vpnGateway,
    refusals: drafts.flatMap(({ refusals }) => refusals),
    clientToClient: drafts.some(({ settings }) => settings.clientToClient !== undefined),
    routeFallthrough: drafts.some(({ settings }) => settings.routeFallthrough !== undefined),
    nat: buildNat(drafts, findings),
    ...joinFilesOf(drafts, findings),
    lines: Object.assign({}, ...everywhere.toReversed().map(linesOf)),
    warnings: findings.warnings,
  };
  checkGateway(
    config,
    peers.map((peer, i) => ({ config: peer, draft: built[i].draft })),
    drafts,
    findings,
  );
  return config;
}
