/** What a config adds to every packet, as numbers for protocol/mtu.ts. */
import type { TransportProtocol } from '../protocol/constants.ts';
import { fragmentOuterSize, linkMtu, maxFragment, type ChannelShape } from '../protocol/mtu.ts';
import type { PeerConfig } from './model.ts';
import { protocolsOf } from './protocols.ts';

type Channel = Pick<PeerConfig, 'cipher' | 'digest' | 'replay' | 'framing' | 'mtu'> & {
  readonly transport: Parameters<typeof protocolsOf>[0] & Pick<PeerConfig['transport'], 'family'>;
};

/** Over `protocol`, or that of the first remote. */
export function channelShape(channel: Channel, protocol?: TransportProtocol): ChannelShape {
  const { cipher, digest, replay, framing, mtu, transport } = channel;
  return {
    hmacSize: digest.size,
    blockSize: cipher.blockSize,
    replay: replay.enabled,
    framing,
    transport: (protocol ?? protocolsOf(transport)[0]) === 'udp' ? 'udp' : 'tcp',
    fragment: mtu.fragment?.bytes ?? 0,
    tunMtu: mtu.tunMtu,
    tunMtuExtra: mtu.tunMtuExtra,
  };
}

const DEFAULT_TUN_MTU = 1500;

/** `link-mtu` of the option string. Stock forgets a `link-mtu` line here and counts from the default tun-mtu. */
export function toldLinkMtu(channel: Channel, protocol?: TransportProtocol): number {
  const shape = channelShape(channel, protocol);
  return linkMtu(channel.mtu.fromLinkMtu ? { ...shape, tunMtu: DEFAULT_TUN_MTU } : shape);
}

/** Family whose headers `fragment BYTES mtu` counts; like stock, the larger one unless the config says `proto udp4`. */
export function fragmentFamily({
  mtu,
  transport,
}: Pick<PeerConfig, 'mtu'> & { readonly transport: Pick<PeerConfig['transport'], 'family'> }):
  4 | 6 | undefined {
  if (mtu.fragment?.countsOuter !== true) return undefined;
  return transport.family === 'ipv4' ? 4 : 6;
}

/** IP packet of the longest fragment that `fragment` makes; the config has one. */
export function longestFragment(config: Channel, family: 4 | 6): number {
  const shape = channelShape(config, 'udp');
  return fragmentOuterSize(shape, maxFragment(shape, fragmentFamily(config)), family);
}
