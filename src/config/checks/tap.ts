/**
 * What goes with `dev tap`: one peer, and nothing that looks at IP packets. Frames have no route, no hop limit and no source
 * to check; the kernel's bridge does better what a switch of ours would.
 */
import type { SourcePosition } from '../../errors.ts';
import type { Draft } from '../draft.ts';
import { refuse } from '../findings.ts';
import type { Findings } from '../findings.ts';
import type { GatewayConfig } from '../model.ts';
import { refusePair } from './pair.ts';
import type { BuiltPeer } from './pair.ts';

const ONE_BRIDGE =
  'run a process for each peer, and let the kernel bridge their devices: ip link set tap0 master br0';

/** Where the peer says what its device is, or else where it begins. */
function devicePosition({ config, draft: { settings } }: BuiltPeer): SourcePosition {
  return (settings.deviceType ?? settings.device)?.where ?? config.where;
}

/** Lines of ours about IP packets, with their names. */
function packetLines({ settings, ...draft }: Draft): [name: string, where: SourcePosition][] {
  return [
    ...draft.natLines.map(({ line }) => ['nat', line.where] as const),
    ...draft.netmaps.map(({ peer }) => ['nat netmap', peer.where] as const),
    ...draft.clientNat.map(({ where }) => ['client-nat', where] as const),
    ...draft.peerRoutes.map(({ directive, where }) => [directive, where] as const),
    ...draft.peerAddresses.map(({ where }) => ['peer-address', where] as const),
    ...draft.allowedSources.map(({ where }) => ['allowed-source', where] as const),
    ...draft.refusals.map(({ kind, where }) => [kind, where] as const),
    ...(settings.clientToClient === undefined
      ? []
      : [['client-to-client', settings.clientToClient.where] as const]),
    ...(settings.routeFallthrough === undefined
      ? []
      : [['route-fallthrough', settings.routeFallthrough.where] as const]),
  ].map(([name, where]) => [name, where]);
}

/** Records peers that disagree about the type of their device, and what a tap device cannot do. */
export function checkDeviceTypes(
  { device }: GatewayConfig,
  peers: readonly BuiltPeer[],
  drafts: readonly Draft[],
  findings: Findings,
): void {
  const [first, ...others] = peers;
  for (const other of others) {
    const { type } = other.config.device;
    if (type === device.type && type === 'tun') continue;
    const both = `${first.config.name} and ${other.config.name}`;
    refusePair(findings, devicePosition(first), devicePosition(other), {
      code: 'CONFIG_TAP',
      what: type === device.type ? `${both} on one tap device` : `${both}: one on a tap device, one on tun`,
      why: 'one process has one device, and a tap device is a link to one peer',
      fix: type === device.type ? ONE_BRIDGE : 'run a process for each',
    });
  }
  if (device.type === 'tun') return;
  for (const draft of new Set([...drafts, ...peers.map((peer) => peer.draft)])) {
    for (const [name, where] of packetLines(draft)) {
      refuse(findings, where, 'CONFIG_TAP', `\`${name}\` with \`dev tap\``, {
        why: 'it is about IP packets; on a tap device every Ethernet frame goes to the peer as it is',
        fix: 'remove the line and leave it to the kernel (routes, bridges, nftables), or write `dev tun` on both ends',
      });
    }
  }
}
