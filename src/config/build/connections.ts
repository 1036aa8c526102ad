/** `<connection>` blocks: what each has of its own, and what all of them have to agree on. */
import { DEFAULT_PORT, type ConnectionSettings } from '../connection-settings.ts';
import type { Draft, Settings, SomeSettings } from '../draft.ts';
import { refuse } from '../findings.ts';

/** Of one block, or of the lines outside of all. */
export function resolveConnectionSettings(settings: SomeSettings): ConnectionSettings {
  const bind = settings.nobind === undefined;
  return {
    localHost: settings.localHost?.value,
    localPort: bind ? (settings.localPort?.value ?? DEFAULT_PORT) : 0,
    bind,
    bindClient: (settings.bind ?? settings.lport ?? settings.localHost) !== undefined,
    ipv6Only: settings.bind?.value.ipv6Only ?? false,
    mtuDiscovery: settings.mtuDiscovery?.value,
    connectRetrySec: settings.connectRetrySec?.value ?? 1,
    connectRetryMaxSec: settings.connectRetryMaxSec?.value ?? 300,
    connectTimeoutSec: settings.connectTimeoutSec?.value ?? 120,
    float: settings.float !== undefined,
    exitNotify: settings.exitNotify?.value ?? 0,
    lines: { local: settings.localHost?.where, port: settings.localPort?.where },
  };
}

/** What holds for each block; without blocks, what holds for all remotes. */
export function settingsOfConnections({ settings, connections }: Draft): readonly SomeSettings[] {
  if (connections.length === 0) return [settings];
  return connections.map(({ value }) => ({ ...settings, ...value.own }));
}

/** What a block may say, but the tunnel has once. */
const COMMON = {
  tunMtu: 'tun-mtu',
  tunMtuExtra: 'tun-mtu-extra',
  linkMtu: 'link-mtu',
  mssfix: 'mssfix',
  fragment: 'fragment',
} as const satisfies { readonly [K in keyof Settings]?: string };

type CommonKey = keyof typeof COMMON;

/** What all blocks come to be the same in becomes the tunnel's; anything else is refused. */
export function agreeOnCommon(draft: Draft): void {
  for (const key of Object.keys(COMMON) as CommonKey[]) agree(draft, key);
}

function agree<K extends CommonKey>(draft: Draft, key: K): void {
  const given = draft.connections.flatMap(({ value }) => value.own[key] ?? []);
  if (given.length === 0) return;
  const settings: SomeSettings = draft.settings;
  const inForce = draft.connections.map(({ value }) => value.own[key] ?? settings[key]);
  const texts = inForce.map((setting) => JSON.stringify(setting?.value));
  const other = texts.findIndex((text) => text !== texts[0]);
  if (other === -1) {
    if (inForce[0] !== undefined) settings[key] = inForce[0] as SomeSettings[K];
    return;
  }
  const { where } = draft.connections[other].value.own[key] ?? given[0];
  const directive = COMMON[key];
  const what = `<connection> blocks that differ in \`${directive}\``;
  const why = 'the device, and the packets made for it, stay as they are when the next remote is tried';
  const fix = `write one \`${directive}\` in front of the first block and none inside, or the same in every block`;
  refuse(draft.findings, where, 'CONFIG_CONNECTIONS_DIFFER', what, { why, fix });
}
