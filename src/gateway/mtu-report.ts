/** From a measurement of the path to what an operator needs: arithmetic, lines for the config, what happens without them. */
import type { PeerConfig } from '../config/model.ts';
import { ETHERNET_HEADER } from '../packet/ethernet.ts';
import { channelShape } from '../config/channel-shape.ts';
import type { MtuBounds, MtuReport, OverheadPart } from '../control/mtu.ts';
import type { PathMeasurement, PathRange } from '../engine/mtu-probe.ts';
import { framingSize } from '../protocol/framing.ts';
import { FRAGMENT_HEADER_SIZE } from '../protocol/fragmentation.ts';
import { innerMtuOf, outerHeaders, outerSize, type ChannelShape } from '../protocol/mtu.ts';
import { PACKET_ID_SIZE } from '../protocol/packet-id.ts';

const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const IPV6_MIN_MTU = 1280;
const TCP_IPV4_HEADERS = 40;

export interface ReportParts {
  readonly config: PeerConfig;
  readonly endpoint: string | null;
  readonly measurement: PathMeasurement;
  readonly effective: MtuReport['effective'];
  /** IPv6 is used inside the tunnel. */
  readonly inner6: boolean;
}

export function mtuReport({ config, endpoint, measurement, effective, inner6 }: ReportParts): MtuReport {
  const { family, forward, reverse, tsvpn, tookMs, rttMs, probes } = measurement;
  const shape = channelShape(config);
  const toPeer = forward === undefined ? null : boundsOf(forward);
  const fromPeer = reverse === undefined ? null : knownBy(boundsOf(reverse), toPeer);
  const path = narrower(toPeer, fromPeer);
  const link = config.device.type === 'tap' ? ETHERNET_HEADER : 0;
  const inner = path === undefined ? 0 : innerMtuOf(shape, path, family) - link;
  const largest = inner > 0 ? { inner, outer: outerSize(shape, inner + link, family) } : null;
  const state = { config, shape, family, forward, path, largest, routersTell: measurement.told, inner6 };
  return {
    schema: 'tsvpn.mtu/1',
    peer: config.name,
    endpoint,
    software: forward === undefined ? null : tsvpn ? 'tsvpn' : 'openvpn',
    family,
    tookMs,
    rttMs,
    probes,
    toPeer,
    fromPeer,
    routersTell: measurement.told,
    overhead: overheadOf(shape, family, link),
    blockSize: shape.blockSize,
    largest,
    recommended: recommended(state),
    today: today(state),
    effective,
  };
}

interface State {
  readonly config: PeerConfig;
  readonly shape: ChannelShape;
  readonly family: 4 | 6;
  readonly forward: PathRange | undefined;
  /** Bytes that pass both ways. */
  readonly path: number | undefined;
  readonly largest: MtuReport['largest'];
  readonly routersTell: boolean;
  readonly inner6: boolean;
}

function boundsOf({ passes, fails }: PathRange): MtuBounds {
  return { mtu: passes, upTo: fails === undefined ? null : fails - 1 };
}

/** A direction that is known to some bytes only, and the other exactly: they are alike unless they contradict each other. */
function knownBy(range: MtuBounds, other: MtuBounds | null): MtuBounds {
  const { mtu, upTo } = range;
  if (upTo === null || other === null || other.upTo !== other.mtu) return range;
  if (other.mtu < mtu || other.mtu > upTo || upTo === mtu) return range;
  return { mtu: other.mtu, upTo: other.mtu, measured: { mtu, upTo } };
}

function narrower(a: MtuBounds | null, b: MtuBounds | null): number | undefined {
  if (a === null) return undefined;
  // A direction in which nothing failed sets no limit.
  return b === null || b.upTo === null ? a.mtu : Math.min(a.mtu, b.mtu);
}

function overheadOf(shape: ChannelShape, family: 4 | 6, link: number): OverheadPart[] {
  const ip = family === 4 ? IPV4_HEADER : IPV6_HEADER;
  const parts: readonly OverheadPart[] = [
    { name: `IPv${family}`, bytes: ip },
    { name: 'UDP', bytes: outerHeaders(shape, family) - ip },
    { name: 'HMAC', bytes: shape.hmacSize },
    { name: 'IV', bytes: shape.blockSize },
    { name: 'packet id', bytes: shape.replay ? PACKET_ID_SIZE : 0 },
    { name: 'fragment', bytes: shape.fragment > 0 ? FRAGMENT_HEADER_SIZE : 0 },
    { name: 'compression', bytes: framingSize(shape.framing) },
    { name: 'Ethernet', bytes: link },
  ];
  return parts.filter(({ bytes }) => bytes > 0);
}

function recommended({ config, shape, family, path, largest }: State): MtuReport['recommended'] {
  const { mtu } = config;
  if (path === undefined || largest === null) return [];
  if (mtu.fragment !== undefined) {
    const bytes = path - outerHeaders(shape, family);
    return [
      { lines: [`fragment ${bytes}`], does: 'on both ends: no datagram is longer than the path carries' },
    ];
  }
  if (largest.inner >= mtu.tunMtu) return [];
  // The other stations of a bridge would have to have that MTU, too.
  const bridged = config.device.type === 'tap' && config.device.address === undefined;
  const narrow = {
    lines: [`tun-mtu ${largest.inner}`],
    does: 'on both ends: whatever the program, its packets fit the path',
  };
  return [
    ...(bridged ? [] : [narrow]),
    {
      lines: [`mssfix ${path} mtu`],
      does: 'on either end, OpenVPN 2.6 or tsvpn: TCP fits; other long packets are as described above',
    },
    {
      lines: [`fragment ${path - outerHeaders(shape, family)}`],
      does: `on both ends: packets of up to ${mtu.tunMtu} bytes stay possible, in two datagrams that fit the path`,
    },
  ];
}

function today(state: State): string[] {
  const { config, forward, path, largest, inner6 } = state;
  if (forward === undefined || path === undefined || largest === null) return [];
  const { tunMtu } = config.mtu;
  if (config.mtu.fragment !== undefined) return withFragment(state, config.mtu.fragment.bytes);
  if (largest.inner >= tunMtu)
    return [`Every packet of up to ${tunMtu} bytes (tun-mtu) goes over the path whole.`];
  const sentences = [
    `Packets of up to ${largest.inner} bytes go over the path whole.`,
    longPackets(state, largest.inner + 1, tunMtu, forward),
    tcp(state),
  ];
  if (inner6 && largest.inner < IPV6_MIN_MTU) {
    sentences.push(
      `IPv6 inside needs ${IPV6_MIN_MTU} bytes, which the path does not carry whole: use \`fragment\`.`,
    );
  }
  return sentences;
}

function longPackets({ config, routersTell }: State, from: number, to: number, forward: PathRange): string {
  const which = `Packets of ${from} to ${to} bytes`;
  // A frame is nobody's to cut, and there is no router on the way that its sender would believe.
  if (config.mtuProbe !== 'off' && !forward.local && config.device.type === 'tun') {
    return `${which} are told to be shorter ("fragmentation needed"), or cut before they are encrypted: tsvpn sends none of them.`;
  }
  if (forward.local) return `${which} are sent in two IP fragments, which this host makes.`;
  return routersTell
    ? `${which} are too long for the path; routers say so, and this host cuts them in two IP fragments then.`
    : `${which} become datagrams that the path drops without a word.`;
}

/** What TCP makes of it. */
function tcp({ config, largest, path }: State): string {
  const inner = largest?.inner ?? 0;
  const fits = inner - TCP_IPV4_HEADERS;
  return `TCP fits with an MSS of ${fits} (IPv6 ${fits - 20}); ${mss(config, path ?? 0)}`;
}

function mss({ mtu, mtuProbe }: PeerConfig, path: number): string {
  if (mtu.mssfix.mode === 'off') return '`mssfix 0` leaves it alone.';
  return mtuProbe === 'off'
    ? `\`mssfix ${path} mtu\` would see to it.`
    : 'tsvpn sees to it, in both directions.';
}

function withFragment({ shape, family, path }: State, bytes: number): string[] {
  const longest = bytes + outerHeaders(shape, family);
  return longest <= (path ?? 0)
    ? [`\`fragment ${bytes}\` keeps IP packets to ${longest} bytes: all of them pass.`]
    : [
        `\`fragment ${bytes}\` makes IP packets of up to ${longest} bytes, which is more than the path carries.`,
      ];
}
