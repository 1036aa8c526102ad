/** From the lines of one peer to their meaning: defaults, cross-checks and a PeerConfig. */
import { resolve } from 'node:path';
import type { DirectiveLines, SourcePosition } from '../errors.ts';
import type { DeviceType } from '../packet/ethernet.ts';
import {
  resolveCipher,
  resolveDigest,
  resolveReplay,
  resolveSecret,
  hasLegacyProvider,
} from './build/crypto.ts';
import {
  resolveAddress,
  resolveAddress6,
  resolveDevice,
  resolveFraming,
  resolveMtu,
} from './build/device.ts';
import { agreeOnCommon } from './build/connections.ts';
import { checkFragment } from './build/fragment.ts';
import type { PeerDraft } from './peer-block.ts';
import { addressRoutes, splitRoutes, tunnelAddresses } from './build/peer-routes.ts';
import { redirectRoutes, resolveRedirect } from './build/redirect.ts';
import { defaultGateway, resolveRoutes } from './build/routes.ts';
import { resolveTimers, resolveTransport } from './build/transport.ts';
import type { Draft } from './draft.ts';
import type { AllowedSource, LateRoute, PeerConfig, RedirectConfig, RouteConfig } from './model.ts';
import { isStream } from './protocols.ts';

/** Where the key text is to be found. The text itself stays out of PeerConfig. */
export type Secret =
  | {
      readonly kind: 'file';
      readonly path: string;
      /** The path as written. */
      readonly written: string;
      readonly where: SourcePosition;
    }
  | {
      readonly kind: 'inline';
      readonly text: string;
      readonly firstLine: number;
      readonly where: SourcePosition;
    };

/** What a peer's lines come to. A part is missing when they do not tell it; the draft's findings say why. */
export interface Built {
  readonly name: string;
  readonly draft: Draft;
  readonly config: PeerConfig | undefined;
  readonly secret: Secret | undefined;
  readonly deviceType: DeviceType;
  /** `route` lines that lead somewhere else than to the peer. */
  readonly otherRoutes: readonly RouteConfig[];
  readonly lateRoutes: readonly LateRoute[];
  readonly redirect: RedirectConfig | undefined;
  /** `route-gateway`, or the peer's address inside the tunnel. */
  readonly vpnGateway: string | undefined;
}

function buildSecret(draft: Draft, top: SourcePosition): Secret | undefined {
  const source = resolveSecret(draft, top);
  const where = draft.settings.secret?.where ?? top;
  if (source === undefined) return undefined;
  if (source.kind === 'inline') return { ...source, where };
  return { kind: 'file', path: resolve(draft.directory, source.path), written: source.path, where };
}

function buildDevice(draft: Draft, top: SourcePosition): PeerConfig['device'] {
  const { settings } = draft;
  const { type, name } = resolveDevice(draft, top);
  return {
    type,
    name,
    node: settings.deviceNode?.value ?? '/dev/net/tun',
    txQueueLength: settings.txQueueLength?.value,
    linkAddress: settings.linkAddress?.value,
    bridge: settings.bridge?.value,
    address: resolveAddress(draft, type),
    address6: resolveAddress6(draft),
    noExec: settings.ifconfigNoExec !== undefined,
    ifconfigNoWarn: settings.ifconfigNoWarn !== undefined,
  };
}

/** Where the directives stand; what several of them may set is where the one stands that is in force. */
export function linesOf({ lines, settings }: Draft): DirectiveLines {
  const { linkMtu, tunMtu, framing, keyDirection, logFile } = settings;
  const inForce = {
    'tun-mtu': linkMtu ?? tunMtu,
    compression: framing,
    'key-direction': keyDirection,
    log: logFile,
  };
  const places = Object.entries(inForce).flatMap(([name, setting]) =>
    setting === undefined ? [] : [[name, setting.where]],
  );
  return { ...lines, ...Object.fromEntries(places) };
}

/** Paths start from the directory of the whole config. */
export function buildFiles(draft: Draft): Pick<PeerConfig, 'statusFile' | 'pidFile'> {
  const { status, pidFile } = draft.settings;
  return {
    statusFile: status && {
      path: resolve(draft.directory, status.value.path),
      intervalSec: status.value.intervalSec,
    },
    pidFile: pidFile && resolve(draft.directory, pidFile.value),
  };
}

function allowedSource({ allowedSources }: Draft, onlyOne: boolean): AllowedSource {
  const given = allowedSources.map(({ value }) => value);
  if (given.includes('any') || (given.length === 0 && onlyOne)) return 'any';
  return {
    prefixes: given.flatMap((value) => (value === 'any' ? [] : value)),
    where: allowedSources.at(0)?.where,
  };
}

type Behind = Pick<PeerConfig, 'tunnelAddresses' | 'peerRoutes' | 'routes'>;

/** What lies behind the peer, and the routes that do not lead to it. */
function buildRoutes(
  peer: PeerDraft,
  onlyOne: boolean,
  device: PeerConfig['device'],
  transport: PeerConfig['transport'],
): { behind: Behind } & Pick<Built, 'otherRoutes' | 'lateRoutes' | 'redirect' | 'vpnGateway'> {
  const { draft } = peer;
  const addresses = device.type === 'tap' ? [] : tunnelAddresses(draft, device);
  const { routes: resolved, late } = resolveRoutes(draft, {
    ...transport,
    peer: peer.name,
    addresses,
    device,
  });
  const vpnGateway = defaultGateway(draft, addresses);
  const redirect = resolveRedirect(draft, vpnGateway, device.type);
  const routes = resolved.map(({ route }) => route);
  const common = { lateRoutes: late, redirect, vpnGateway };
  // A tap device leads to a network and not to a peer: its routes are the kernel's business.
  if (device.type === 'tap') {
    return { behind: { tunnelAddresses: [], peerRoutes: [], routes }, otherRoutes: routes, ...common };
  }
  const own = addressRoutes(peer, onlyOne, device, addresses);
  const kernel = draft.settings.routeNoExec === undefined;
  const { toPeer, others } = splitRoutes(resolved, own, kernel);
  const peerRoutes = [...own, ...toPeer, ...draft.peerRoutes, ...redirectRoutes(redirect)];
  return { behind: { tunnelAddresses: addresses, peerRoutes, routes }, otherRoutes: others, ...common };
}

/** Applies defaults and checks. */
export function build(peer: PeerDraft, onlyOne: boolean): Built {
  const { draft, file, name, where: top } = peer;
  const { settings, findings } = draft;
  agreeOnCommon(draft);
  const secret = buildSecret(draft, top);
  const cipher = resolveCipher(draft, top);
  const digest = resolveDigest(draft, top);
  const transport = resolveTransport(draft);
  const device = buildDevice(draft, top);
  const parts = {
    replay: resolveReplay(draft),
    timers: resolveTimers(draft),
    mtu: resolveMtu(draft, cipher, digest, isStream(transport), device.type),
    framing: resolveFraming(draft),
  };
  checkFragment(draft, { cipher, digest, transport, ...parts });
  const { behind, ...routing } = buildRoutes(peer, onlyOne, device, transport);
  const { type: deviceType } = device;
  if (findings.errors.length > 0 || secret === undefined) {
    return { name, draft, config: undefined, secret, deviceType, ...routing };
  }
  const config: PeerConfig = {
    file,
    name,
    where: top,
    lines: linesOf(draft),
    ...behind,
    allowedSource: allowedSource(draft, onlyOne),
    netmap: draft.clientNat,
    key: {
      source: secret.kind === 'file' ? { kind: 'file', path: secret.path } : { kind: 'inline' },
      where: secret.where,
      direction: settings.keyDirection?.value,
    },
    cipher,
    digest,
    legacyProvider: hasLegacyProvider(draft),
    transport,
    device,
    ...parts,
    mtuProbe: settings.mtuProbe?.value ?? 'start',
    occ: settings.disableOcc === undefined,
    routeNoExec: settings.routeNoExec !== undefined,
    log: {
      verb: settings.verb?.value ?? 1,
      mute: settings.mute?.value ?? 0,
      timestamps: settings.suppressTimestamps === undefined,
    },
    ...buildFiles(draft),
  };
  return { name, draft, config, secret, deviceType, ...routing };
}
