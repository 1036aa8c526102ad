/** From the config's words to the data plane's numbers. */
import { channelShape, fragmentFamily, toldLinkMtu } from '../config/channel-shape.ts';
import type { GatewayConfig, PeerConfig } from '../config/model.ts';
import { protocolsOf } from '../config/protocols.ts';
import { deriveKeys } from '../crypto/static-key.ts';
import type { EngineSettings, PeerSettings, ReplayMemory } from '../engine/messages.ts';
import { parseAddress } from '../packet/address.ts';
import { ETHERNET_HEADER } from '../packet/ethernet.ts';
import { prefixFamily } from '../packet/prefix.ts';
import type { TransportProtocol } from '../protocol/constants.ts';
import { innerMtu, maxFragment, mssfixValue } from '../protocol/mtu.ts';
import type { OccOptions } from '../protocol/occ-options.ts';

/** MSS that IPv4 SYNs are clamped to towards a remote of `family` (undefined: no remote configured); 0 is off. */
export function mssFor(config: PeerConfig, family: 4 | 6 | undefined, protocol?: TransportProtocol): number {
  return mssfixValue(channelShape(config, protocol), config.mtu.mssfix, family, config.mtu.fromLinkMtu);
}

/** IPv6 packets may have to go to the peer: the tunnel has such an address, or leads to such a network. */
export function carriesIpv6({ device, peerRoutes }: PeerConfig): boolean {
  return device.address6 !== undefined || peerRoutes.some(({ prefix }) => prefixFamily(prefix) === 6);
}

/** What our option string says, and the peer's must match. */
export function occOptions(
  config: PeerConfig,
  protocol: TransportProtocol = protocolsOf(config.transport)[0],
): OccOptions {
  const { address, address6, ifconfigNoWarn } = config.device;
  return {
    protocol,
    deviceType: config.device.type,
    linkMtu: toldLinkMtu(config, protocol),
    tunMtu: config.mtu.occMtu ?? config.mtu.tunMtu,
    ipv6: address6 !== undefined,
    ifconfig: ifconfigNoWarn ? undefined : address,
    compression: config.framing !== 'off',
    fragment: config.mtu.fragment !== undefined,
    keyDirection: config.key.direction,
    cipher: config.cipher.name,
    keyBits: config.cipher.keySize * 8,
    digest: config.digest.name,
    replay: config.replay.enabled,
  };
}

/** `key` is the 256-byte static key; the result holds copies of the parts in use. */
export function peerSettings(config: PeerConfig, key: Uint8Array, replayMemory?: ReplayMemory): PeerSettings {
  const suite = { cipher: config.cipher, digest: config.digest };
  const keys = deriveKeys(key, config.key.direction, suite);
  const { timers } = config;
  const { fragment } = config.mtu;
  const shape = channelShape(config);
  return {
    suite,
    sealKeys: keys.seal,
    openKeys: keys.open,
    sharedKeys: config.key.direction === undefined,
    replay: config.replay,
    replayMemory,
    framing: config.framing,
    maxFragment: fragment === undefined ? 0 : maxFragment(shape, fragmentFamily(config)),
    allowRecursiveRouting: config.transport.allowRecursiveRouting,
    passTos: config.transport.passTos,
    shaperBytesPerSec: config.transport.shaperBytesPerSec,
    tunMtu: innerMtu(shape, fragmentFamily(config)),
    linkHeader: config.device.type === 'tap' ? ETHERNET_HEADER : 0,
    tunMtuExtra: config.mtu.tunMtuExtra,
    mtuProbe: config.mtuProbe,
    anySource: config.allowedSource === 'any',
    netmap: config.netmap,
    pingSec: timers.pingSec,
    pingTimeoutSec: timers.pingTimeoutSec,
    pingTimeoutAction: timers.pingTimeoutAction,
    pingTimerNeedsRemote: timers.pingTimerNeedsRemote,
    inactiveSec: timers.inactive?.seconds ?? 0,
    inactiveBytes: timers.inactive?.bytes ?? 0,
    sessionTimeoutSec: timers.sessionTimeoutSec,
    occ: config.occ,
  };
}

/**
 * Is this what stock calls a tunnel: one peer, and nothing said about routing that stock does not know? The device is
 * then a link to that peer, which gets every packet of the kernel, whatever its destination.
 */
export function isPointToPoint({ peers, clientToClient, refusals, nat }: GatewayConfig): boolean {
  if (peers.length !== 1 || clientToClient || refusals.length > 0 || nat.lines.length > 0) return false;
  const [{ peerRoutes, allowedSource }] = peers;
  return allowedSource === 'any' && !peerRoutes.some(({ directive }) => directive === 'peer-route');
}

export function engineSettings(config: GatewayConfig, pointToPoint: boolean): EngineSettings {
  const { addresses, addresses6 } = config.device;
  return {
    deviceType: config.device.type,
    tunMtu: config.tunMtu,
    pointToPoint,
    clientToClient: config.clientToClient,
    address4: addresses.length === 0 ? undefined : parseAddress(addresses[0].local),
    address6: addresses6.length === 0 ? undefined : parseAddress(addresses6[0].local),
  };
}
