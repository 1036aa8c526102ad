/**
 * What the path to a peer carries, and what follows from it: the longest inner packet, the MSS clamp, the length of
 * fragments. The config assumes something; a measurement or a router that says less lowers it, never raises it above.
 */
import { IPV6_MIN_MTU } from '../packet/ipv6.ts';
import { TCP_IPV4_HEADERS } from '../packet/tcp.ts';
import type { ChannelShape } from '../protocol/mtu.ts';
import { FRAGMENT_HEADER_SIZE } from '../protocol/fragmentation.ts';
import { framingSize } from '../protocol/framing.ts';
import {
  datagramSize,
  fragmentOuterSize,
  innerMtuOf,
  maxFragment,
  mssfixValue,
  outerSize,
} from '../protocol/mtu.ts';
import type { PeerSettings } from './messages.ts';

/** What is learnt of a path is forgotten after this time: it may have become wider (RFC 1191 6.3, RFC 8899 5.1.1). */
export const AGEING_MS = 600_000;
/** A forged "fragmentation needed" must not make packets arbitrarily small (RFC 1191 7.1; RFC 8899 3). */
const LEAST_PATH_MTU = 576;

type Settings = Pick<
  PeerSettings,
  'suite' | 'replay' | 'framing' | 'tunMtu' | 'maxFragment' | 'linkHeader' | 'tunMtuExtra'
>;

/** What is added to every packet to the peer. */
function channelShape(settings: Settings): ChannelShape {
  const { suite, replay, framing, tunMtu, tunMtuExtra, maxFragment } = settings;
  const shape: ChannelShape = {
    hmacSize: suite.digest.size,
    blockSize: suite.cipher.blockSize,
    replay: replay.enabled,
    framing,
    transport: 'udp',
    fragment: 0,
    tunMtu,
    tunMtuExtra,
  };
  if (maxFragment === 0) return shape;
  return {
    ...shape,
    fragment: datagramSize(shape, maxFragment + FRAGMENT_HEADER_SIZE - framingSize(framing)),
  };
}

export class PathMtu {
  /** Longest inner packet to the peer: IPv4, and IPv6, which must not get less than its minimum. */
  inner4: number;
  inner6: number;
  /** Clamp of IPv4 SYNs; 0 is off. */
  mss = 0;
  /** Longest fragment; 0 without `fragment`. */
  fragment: number;
  /** Longest IP packets that pass, to the peer and from it; Infinity as far as is known. */
  toPeer = Infinity;
  fromPeer = Infinity;
  /** Longer ones are cut by this host itself, so that they arrive; on their way they would be lost. */
  private cutHere = false;
  /** When that is forgotten. */
  expiryMs = Infinity;
  readonly shape: ChannelShape;
  private readonly settings: Settings;
  private configuredMss = 0;
  private family: 4 | 6 = 4;

  constructor(settings: Settings) {
    this.shape = channelShape(settings);
    this.settings = settings;
    this.inner4 = settings.tunMtu;
    this.inner6 = settings.tunMtu;
    this.fragment = settings.maxFragment;
  }

  /** Something is smaller than the config says. */
  get limited(): boolean {
    const { tunMtu, maxFragment: fragment } = this.settings;
    return this.inner4 < tunMtu || this.fragment < fragment || this.mss < this.configuredMss;
  }

  /** IP packet of the longest fragment; 0 without `fragment`. */
  get fragmentOuter(): number {
    return this.fragment === 0 ? 0 : fragmentOuterSize(this.shape, this.fragment, this.family);
  }

  /** A new connection, over a path of which nothing is known. `mss` is the clamp for its remote. */
  start(mss: number): void {
    this.configuredMss = mss;
    this.forget();
  }

  forget(): void {
    this.toPeer = Infinity;
    this.fromPeer = Infinity;
    this.cutHere = false;
    this.expiryMs = Infinity;
    this.apply();
  }

  /** A measurement replaces what was known; Infinity for no limit found. `cutHere`: it is this host's own. */
  measured(toPeer: number, cutHere: boolean, fromPeer: number, family: 4 | 6, nowMs: number): void {
    this.family = family;
    this.toPeer = toPeer;
    this.cutHere = cutHere;
    this.fromPeer = fromPeer;
    this.expiryMs = nowMs + AGEING_MS;
    this.apply();
  }

  /** A router, or the kernel, says that IP packets to the peer may have `mtu` bytes. True when that is news. */
  told(mtu: number, family: 4 | 6, nowMs: number): boolean {
    const least = family === 6 ? IPV6_MIN_MTU : LEAST_PATH_MTU;
    if (Math.max(mtu, least) >= this.toPeer) return false;
    this.measured(Math.max(mtu, least), false, this.fromPeer, family, nowMs);
    return true;
  }

  private apply(): void {
    const { settings, shape, toPeer, family, configuredMss } = this;
    const { tunMtu } = settings;
    this.inner4 = tunMtu;
    this.inner6 = tunMtu;
    this.fragment = settings.maxFragment;
    this.mss = configuredMss;
    const narrower = Math.min(toPeer, this.fromPeer);
    if (narrower < this.assumed()) this.mss = Math.min(configuredMss, this.mssFor(narrower));
    if (toPeer === Infinity || (this.cutHere && toPeer >= this.assumed())) return;
    if (this.fragment > 0) {
      this.fragment = Math.min(this.fragment, maxFragment({ ...shape, fragment: toPeer }, family));
      return;
    }
    this.inner4 = Math.min(tunMtu, innerMtuOf(shape, toPeer, family) - settings.linkHeader);
    this.inner6 = Math.min(tunMtu, Math.max(this.inner4, IPV6_MIN_MTU));
  }

  private mssFor(pathMtu: number): number {
    return mssfixValue(this.shape, { mode: 'mtu', value: pathMtu }, this.family, false);
  }

  /** The longest IP packets that the config makes of TCP, or of everything, when it clamps no MSS. */
  private assumed(): number {
    const { settings, shape, configuredMss, family } = this;
    const { tunMtu, maxFragment: fragment, linkHeader } = settings;
    if (fragment > 0) return fragmentOuterSize(shape, fragment, family);
    const longest = configuredMss > 0 ? Math.min(tunMtu, configuredMss + TCP_IPV4_HEADERS) : tunMtu;
    return outerSize(shape, longest + linkHeader, family);
  }
}
