/** The management interface of the process, from the lines of all files. */
import { resolve } from 'node:path';
import type { Draft, Settings } from '../draft.ts';
import { MAX_LOG_CACHE } from '../directives/management.ts';
import { refuse, warn } from '../findings.ts';
import type { Findings } from '../findings.ts';
import type { InterfaceAddress, ManagementConfig, ManagementPlace } from '../model.ts';
import type { SourcePosition } from '../../errors.ts';
import { agreed } from './shared.ts';

type Key = Extract<keyof Settings, `management${string}`>;

/** Directives that say how `management` behaves. */
const MODIFIERS = {
  managementClient: 'management-client',
  managementClientUser: 'management-client-user',
  managementClientGroup: 'management-client-group',
  managementHold: 'management-hold',
  managementLogCache: 'management-log-cache',
  managementQueryRemote: 'management-query-remote',
  managementQueryProxy: 'management-query-proxy',
  managementQueryPasswords: 'management-query-passwords',
  managementSignal: 'management-signal',
  managementForgetDisconnect: 'management-forget-disconnect',
  managementUpDown: 'management-up-down',
} as const satisfies { readonly [K in Exclude<Key, 'management'>]: string };
const MODIFIER_KEYS = Object.keys(MODIFIERS) as readonly (keyof typeof MODIFIERS)[];

const DEFAULT_LOG_CACHE = 250;

/** Records contradictions between files, and lines that make no sense together. `addresses` are the device's. */
export function joinManagement(
  drafts: readonly Draft[],
  addresses: readonly InterfaceAddress[],
  findings: Findings,
): ManagementConfig | undefined {
  const given = agreed(drafts, 'management', 'management', findings);
  const draft = drafts.find(({ settings }) => settings.management !== undefined);
  const where = draft?.settings.management?.where;
  if (given === undefined || draft === undefined || where === undefined) {
    refuseModifiers(drafts, findings);
    return undefined;
  }
  const place = resolvePlace(given.place, draft.directory, addresses);
  if (place === undefined) {
    refuse(findings, where, 'CONFIG_MANAGEMENT', 'management: the tunnel has no IPv4 address to listen at', {
      fix: 'add an `ifconfig` line, or name an address of this host',
    });
    return undefined;
  }
  checkClients(drafts, place, findings);
  warnOpen(given, where, findings);
  const some = (key: keyof typeof MODIFIERS) => drafts.some(({ settings }) => settings[key] !== undefined);
  return {
    place,
    inTunnel: given.place.kind === 'tunnel',
    passwordFile: given.passwordFile && resolve(draft.directory, given.passwordFile),
    connects: some('managementClient'),
    clientUser: agreed(drafts, 'managementClientUser', MODIFIERS.managementClientUser, findings),
    clientGroup: agreed(drafts, 'managementClientGroup', MODIFIERS.managementClientGroup, findings),
    hold: some('managementHold'),
    logCache: Math.min(
      agreed(drafts, 'managementLogCache', MODIFIERS.managementLogCache, findings) ?? DEFAULT_LOG_CACHE,
      MAX_LOG_CACHE,
    ),
    queryRemote: some('managementQueryRemote'),
    queryProxy: some('managementQueryProxy'),
    signal: some('managementSignal'),
    upDown: some('managementUpDown'),
    echoes: drafts.flatMap(({ echoes }) => echoes),
    where,
  };
}

function resolvePlace(
  place: Settings['management']['place'],
  directory: string,
  addresses: readonly InterfaceAddress[],
): ManagementPlace | undefined {
  if (place.kind === 'unix') return { kind: 'unix', path: resolve(directory, place.path) };
  if (place.kind === 'tcp') return place;
  const own = addresses.at(0);
  return own && { kind: 'tcp', host: own.local, port: place.port };
}

function refuseModifiers(drafts: readonly Draft[], findings: Findings): void {
  for (const { settings } of drafts) {
    for (const key of MODIFIER_KEYS) {
      const where = settings[key]?.where;
      if (where === undefined) continue;
      refuse(findings, where, 'CONFIG_MANAGEMENT', `${MODIFIERS[key]} without \`management\``, {
        fix: 'add a line `management ADDRESS PORT`, or remove this one',
      });
    }
  }
}

function checkClients(drafts: readonly Draft[], place: ManagementPlace, findings: Findings): void {
  if (place.kind === 'unix') return;
  for (const { settings } of drafts) {
    for (const key of ['managementClientUser', 'managementClientGroup'] as const) {
      const where = settings[key]?.where;
      if (where === undefined) continue;
      refuse(findings, where, 'CONFIG_MANAGEMENT', `${MODIFIERS[key]} needs a unix socket`, {
        why: 'the kernel does not tell whose process is at the other end of a TCP connection',
        fix: 'management PATH unix',
      });
    }
  }
}

function warnOpen(
  { place, passwordFile }: Settings['management'],
  where: SourcePosition,
  findings: Findings,
): void {
  if (place.kind === 'unix' || passwordFile !== undefined) return;
  const isLoopback = place.kind === 'tcp' && /^127\.|^::1$|^localhost$/.test(place.host);
  warn(findings, where, 'CONFIG_MANAGEMENT_OPEN', 'the management interface has a TCP port and no password', {
    why: `every user of ${isLoopback ? 'this host' : 'every host that reaches the port'} can watch, restart and end the tunnel`,
    fix: 'management PATH unix, with management-client-user; or name a password file behind the port',
  });
}
