/** Settings as the lines that mean them, for advice and for the other end's config. */
import type { PeerConfig } from './model.ts';

const FRAMING_LINES: Readonly<Record<PeerConfig['framing'], string>> = {
  off: '',
  'lzo-stub': 'comp-lzo no',
  lzo: 'comp-lzo',
  stub: 'compress',
  lz4: 'compress lz4',
  'stub-v2': 'compress stub-v2',
  'lz4-v2': 'compress lz4-v2',
};

/** Empty without framing. */
export function framingLine(framing: PeerConfig['framing']): string {
  return FRAMING_LINES[framing];
}

export function fragmentLine({ bytes, countsOuter }: NonNullable<PeerConfig['mtu']['fragment']>): string {
  return `fragment ${bytes}${countsOuter ? ' mtu' : ''}`;
}

/** `ifconfig` as this end has it. */
export function ifconfigLine(address: NonNullable<PeerConfig['device']['address']>): string {
  return address.kind === 'p2p'
    ? `ifconfig ${address.local} ${address.remote}`
    : `ifconfig ${address.local} ${address.netmask}`;
}
