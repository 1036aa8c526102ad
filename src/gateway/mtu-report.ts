/** From a measurement of the path to what an operator needs: arithmetic, lines for the config, what happens without them. */
import type { PeerConfig } from '../config/model.ts';
import { channelShape, longestFragment } from '../config/channel-shape.ts';
import { fragmentLine } from '../config/written.ts';
import type { MtuBounds, MtuReport, OverheadPart } from '../control/mtu.ts';
import type { PathMeasurement, PathRange } from '../engine/mtu-probe.ts';
import { ETHERNET_HEADER } from '../packet/ethernet.ts';
import { IPV4_MIN_HEADER } from '../packet/ipv4.ts';
import { IPV6_HEADER, IPV6_MIN_MTU } from '../packet/ipv6.ts';
import { TCP_IPV4_HEADERS, TCP_IPV6_HEADERS } from '../packet/tcp.ts';
import { framingSize } from '../protocol/framing.ts';
import { FRAGMENT_HEADER_SIZE } from '../protocol/fragmentation.ts';
import {
  fragmentOuterSize,
  innerMtuOf,
  mssfixValue,
  outerHeaders,
  outerSize,
  type ChannelShape,
} from '../protocol/mtu.ts';
import { PACKET_ID_SIZE } from '../protocol/packet-id.ts';

export interface ReportParts {
  readonly config: PeerConfig;
  readonly endpoint: string | null;
  readonly measurement: PathMeasurement;
  /** `fragment`: bytes of framed payload. */
  readonly effective: MtuReport['effective'];
  /** IPv6 is used inside the tunnel. */
  readonly inner6: boolean;
}

export function mtuReport({ config, endpoint, measurement, effective, inner6 }: ReportParts): MtuReport {
  const { family, forward, reverse, tsvpn, tookMs, rttMs, probes } = measurement;
  const shape = channelShape(config, 'udp');
  const toPeer = forward === undefined ? null : boundsOf(forward);
  const fromPeer = reverse === undefined ? null : knownBy(boundsOf(reverse), toPeer);
  const path = forward?.complete === true ? narrower(toPeer, fromPeer) : undefined;
  const linkHeader = config.device.type === 'tap' ? ETHERNET_HEADER : 0;
  const inner = path === undefined ? 0 : innerMtuOf(shape, path, family) - linkHeader;
  const largest = inner > 0 ? { inner, outer: outerSize(shape, inner + linkHeader, family) } : null;
  const { told: routersTell, fragments } = measurement;
  const state = {
    config,
    shape,
    family,
    linkHeader,
    forward,
    path,
    largest,
    routersTell,
    fragments,
    inner6,
    effective: {
      ...effective,
      fragment: effective.fragment && fragmentOuterSize(shape, effective.fragment, family),
    },
  };
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
    routersTell,
    fragments: fragments ?? null,
    overhead: overheadOf(shape, family, linkHeader),
    blockSize: shape.blockSize,
    largest,
    urgent: losesPackets(state),
    recommended: recommended(state),
    today: today(state),
    effective: state.effective,
  };
}

interface State {
  readonly config: PeerConfig;
  readonly shape: ChannelShape;
  readonly family: 4 | 6;
  readonly linkHeader: number;
  readonly forward: PathRange | undefined;
  /** Bytes that pass both ways. */
  readonly path: number | undefined;
  readonly largest: MtuReport['largest'];
  readonly routersTell: boolean;
  readonly fragments: boolean | undefined;
  readonly inner6: boolean;
  readonly effective: MtuReport['effective'];
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

function overheadOf(shape: ChannelShape, family: 4 | 6, linkHeader: number): OverheadPart[] {
  const ip = family === 4 ? IPV4_MIN_HEADER : IPV6_HEADER;
  const parts: readonly OverheadPart[] = [
    { name: `IPv${family}`, bytes: ip },
    { name: 'UDP', bytes: outerHeaders(shape, family) - ip },
    { name: 'HMAC', bytes: shape.hmacSize },
    { name: 'IV', bytes: shape.blockSize },
    { name: 'packet id', bytes: shape.replay ? PACKET_ID_SIZE : 0 },
    { name: 'fragment', bytes: shape.fragment > 0 ? FRAGMENT_HEADER_SIZE : 0 },
    { name: 'compression', bytes: framingSize(shape.framing) },
    { name: 'Ethernet', bytes: linkHeader },
  ];
  return parts.filter(({ bytes }) => bytes > 0);
}

/** The better remedy first. */
function recommended(state: State): MtuReport['recommended'] {
  const { config, shape, family, path, largest, inner6 } = state;
  const { tunMtu, fragment } = config.mtu;
  if (path === undefined || largest === null) return [];
  const datagram = path - outerHeaders(shape, family);
  if (fragment !== undefined) {
    if (longestFragment(state.config, state.family) <= path) return [];
    return [
      { lines: [`fragment ${datagram}`], does: 'on both ends: no datagram is longer than the path carries' },
    ];
  }
  if (largest.inner >= tunMtu) return [];
  const shorter = {
    lines: [`tun-mtu ${largest.inner}`],
    does: 'on both ends: every program finds out by itself how long its packets may be',
  };
  const cut = {
    lines: [`fragment ${datagram}`],
    does: `on both ends: packets of up to ${tunMtu} bytes stay possible, in several datagrams that fit the path`,
  };
  const clamp = {
    lines: [`mssfix ${path} mtu`],
    does: 'on one end, OpenVPN 2.6 or tsvpn: TCP fits, in both directions; nothing else does',
  };
  // The other stations of a bridge would have to have that MTU, too.
  if (config.device.type === 'tap' && config.device.address === undefined) return [clamp, cut];
  return inner6 && largest.inner < IPV6_MIN_MTU ? [cut, clamp] : [shorter, clamp, cut];
}

/** Longest packet that TCP makes with the config as it is, and whether the path carries it; undefined without a limit. */
function longestTcp({ config, shape, family, linkHeader, path = 0 }: State) {
  const mss = mssfixValue(shape, config.mtu.mssfix, family, config.mtu.fromLinkMtu);
  if (mss === 0) return undefined;
  const bytes = mss + TCP_IPV4_HEADERS;
  return { bytes, fits: outerSize(shape, bytes + linkHeader, family) <= path };
}

/** Without a change, TCP makes packets that are too long, or other long ones do not arrive. */
function losesPackets(state: State): boolean {
  const { config, forward, path = 0, largest, routersTell, fragments } = state;
  if (forward === undefined || largest === null || largest.inner >= config.mtu.tunMtu) return false;
  if (config.mtu.fragment !== undefined) return longestFragment(state.config, state.family) > path;
  const othersArrive =
    config.transport.mtuDiscovery !== 'yes' && fragments !== false && (forward.local || routersTell);
  return longestTcp(state)?.fits !== true || !othersArrive;
}

/** What becomes of packets with the config as it is, and what is done about it. */
function today(state: State): string[] {
  const { config, forward, path, largest } = state;
  if (forward === undefined || path === undefined || largest === null) return [];
  const { tunMtu, fragment } = config.mtu;
  if (fragment !== undefined) return withFragment(state, fragmentLine(fragment));
  if (largest.inner >= tunMtu)
    return [`Every inner packet of up to ${tunMtu} bytes (tun-mtu) goes over the path whole.`];
  return [
    `Inner packets of up to ${largest.inner} bytes go over the path whole.`,
    longPackets(state, `Inner packets of ${largest.inner + 1} to ${tunMtu} bytes`, forward),
    tcp(state),
    ...inForce(state, tunMtu),
    ...ipv6(state, largest.inner),
  ];
}

function longPackets(state: State, which: string, { local }: PathRange): string {
  const { config, routersTell, fragments } = state;
  const lost = fragments === false ? ', which the path drops' : '';
  if (config.transport.mtuDiscovery === 'yes')
    return `${which} are not sent: \`mtu-disc yes\` forbids fragments.`;
  if (local) return `${which} are sent in two IP fragments${lost}.`;
  return routersTell
    ? `${which} are too long for the path; routers say so, and this host sends two IP fragments then${lost}.`
    : `${which} become datagrams that the path drops, and nobody says so.`;
}

function tcp(state: State): string {
  const { shape, family, path = 0 } = state;
  // On tap less than would fit: as stock, `mssfix` counts 32 bytes (tun-mtu-extra) for an Ethernet header, with its tags.
  const mss = mssfixValue(shape, { mode: 'mtu', value: path }, family, false);
  const fitting = `MSS ${mss}, IPv6 ${mss - (TCP_IPV6_HEADERS - TCP_IPV4_HEADERS)}`;
  const longest = longestTcp(state);
  if (longest === undefined)
    return `mssfix is off: TCP may make packets that are too long; ${fitting} would fit.`;
  return longest.fits
    ? `TCP fits: mssfix keeps its inner packets to ${longest.bytes} bytes.`
    : `TCP does not fit: mssfix allows it inner packets of ${longest.bytes} bytes; ${fitting} would fit.`;
}

/** What tsvpn makes of the measurement at the moment. */
function inForce({ config, effective }: State, tunMtu: number): string[] {
  const { inner, mss } = effective;
  if (config.device.type === 'tap') {
    return mss === null
      ? []
      : [`tsvpn goes by MSS ${mss} for now; who sends other long frames cannot be told.`];
  }
  const clamp = mss === null ? '' : ` and MSS ${mss}`;
  if (inner >= tunMtu) {
    return config.mtuProbe === 'off' ? ['`mtu-probe off`: tsvpn does nothing about it.'] : [];
  }
  return [
    `tsvpn goes by inner packets of ${inner} bytes${clamp} for now: longer ones are cut before they are encrypted, or their senders told.`,
  ];
}

function ipv6({ inner6 }: State, inner: number): string[] {
  if (!inner6 || inner >= IPV6_MIN_MTU) return [];
  return [`IPv6 inside needs ${IPV6_MIN_MTU} bytes, which the path does not carry whole: use \`fragment\`.`];
}

function withFragment(state: State, line: string): string[] {
  const { path = 0, effective } = state;
  const longest = longestFragment(state.config, state.family);
  if (longest <= path)
    return [`\`${line}\` makes outer IP packets of up to ${longest} bytes: all of them pass.`];
  const sentence = `\`${line}\` makes outer IP packets of up to ${longest} bytes, more than the path carries.`;
  const { fragment } = effective;
  return fragment < longest
    ? [sentence, `tsvpn sends fragments in outer IP packets of up to ${fragment} bytes for now.`]
    : [sentence];
}
