/**
 * Virtual reassembly (RFC 4787 REQ-14, RFC 6146 3.4): only the first fragment of a packet says which session it belongs
 * to. What that decided is remembered in a context, keyed by (zone, source, destination, protocol, identification) as
 * the packet arrived; later fragments ask for it, and those that come before the first are held until it does.
 *
 *     first fragment ─▶ classify ─▶ remember(value) ─▶ translate        held ─▶ release ─▶ as if just arrived
 *     later fragment ─▶ find ─▶ value: translate | HELD | REFUSED: drop
 *
 * Contexts also see to it that the fragments of a packet neither overlap nor contradict its end (RFC 5722, RFC 1858):
 * one that does is refused, and so is all that follows. A context ends when its packet is complete.
 */
import type { Batch } from '../packet/batch.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { readInt32 } from '../packet/word.ts';
import { MAX_PEERS, type Zone } from '../packet/zone.ts';
import { Coverage } from './coverage.ts';
import { HeldFragments } from './held.ts';
import type { PacketView } from './packet-view.ts';

export { NO_ZONE } from './held.ts';

/** `find`: the fragment is kept until the first has come. */
export const HELD = -1;
/** `find`: drop it, NatFragment. `remember`: later fragments are to be dropped, as the first was. */
export const REFUSED = -2;

const MAX_CONTEXTS = 512;
const MAX_ZONE_CONTEXTS = 64;
const NO_CONTEXT = -1;
/** How long a fragment waits for the first, ms. Also, how long an identification means one packet only. */
const HOLD_MS = 2000;

/** RFC 1858 3.1: a fragment at this offset can only hide a transport header. */
const TINY_OFFSET = 8;
const MAX_PACKET = 65535;
/** Both addresses, at most. */
const KEY_SIZE = 32;
/** Zones begin at ZONE_ICMP, -2. */
const ZONE_BASE = 2;

export class FragmentTable {
  private readonly lifetime: number;
  /** Hash of the key; 0 is a free context. */
  private readonly fingerprint = new Int32Array(MAX_CONTEXTS);
  private readonly addresses = new Uint8Array(MAX_CONTEXTS * KEY_SIZE);
  private readonly protocol = new Uint8Array(MAX_CONTEXTS);
  private readonly id = new Int32Array(MAX_CONTEXTS);
  private readonly zone = new Int16Array(MAX_CONTEXTS);
  /** What the first fragment decided, or HELD while it is missing, or REFUSED. */
  private readonly value = new Int32Array(MAX_CONTEXTS);
  /** ms. */
  private readonly born = new Float64Array(MAX_CONTEXTS);
  private readonly expiry = new Float64Array(MAX_CONTEXTS);
  private readonly zoneContexts = new Int32Array(ZONE_BASE + MAX_PEERS);
  private used = 0;
  private readonly coverage = new Coverage(MAX_CONTEXTS);
  private readonly held = new HeldFragments();
  private reported = 0;

  /** `lifetime`: ms that later fragments may come after the first. */
  constructor(lifetime: number) {
    this.lifetime = lifetime;
  }

  /**
   * Of a first fragment, before it is translated: those to come shall be told `value`, a number from 0 on or REFUSED.
   * NatFragment: it contradicts fragments seen before, or came before.
   */
  remember(bytes: Uint8Array, view: PacketView, zone: Zone, value: number, now: number): Verdict {
    if (!isSound(view)) return DropReason.NatFragment;
    let context = this.lookup(bytes, view, zone, now);
    if (context !== NO_CONTEXT && this.value[context] !== HELD && now - this.born[context] >= HOLD_MS) {
      this.free(context);
      context = NO_CONTEXT;
    }
    if (context === NO_CONTEXT) context = this.create(bytes, view, zone, now);
    if (this.value[context] === HELD) {
      this.value[context] = value;
      this.expiry[context] = now + this.lifetime;
      if (value === REFUSED) this.held.discard(context);
      else this.held.makeReady(context);
    }
    return this.accept(context, view, now) || value === REFUSED ? PASS : DropReason.NatFragment;
  }

  /** Of a later fragment, before it is translated: what `remember` was told of its first, or HELD, or REFUSED. */
  find(bytes: Uint8Array, view: PacketView, zone: Zone, now: number): number {
    if (!isSound(view)) return REFUSED;
    let context = this.lookup(bytes, view, zone, now);
    if (context === NO_CONTEXT) context = this.create(bytes, view, zone, now);
    const value = this.value[context];
    if (value === HELD) {
      this.held.hold(bytes, view.start, view.length, zone, context);
      return HELD;
    }
    return this.accept(context, view, now) ? value : REFUSED;
  }

  /**
   * Puts the next fragment whose first has come into `slot`, which has its own buffer, and returns the zone it came
   * from; NO_ZONE when there is none. It goes its way from the start, as if it had just arrived.
   */
  release(batch: Batch, slot: number): Zone {
    return this.held.takeReady(batch, slot);
  }

  /** Ends contexts that are too old; returns how many held fragments have been dropped since the last call. */
  expire(now: number): number {
    for (let context = 0; this.used > 0 && context < MAX_CONTEXTS; context++) {
      if (this.fingerprint[context] !== 0 && now >= this.expiry[context]) this.free(context);
    }
    const dropped = this.held.dropped - this.reported;
    this.reported = this.held.dropped;
    return dropped;
  }

  /** Does the fragment fit the others? If not its packet is refused from now on, unless it is a mere duplicate. */
  private accept(context: number, view: PacketView, now: number): boolean {
    if (this.value[context] === REFUSED) return false;
    const { fragmentOffset, fragmentLength, moreFragments } = view;
    const fit = this.coverage.add(context, fragmentOffset, fragmentLength, !moreFragments);
    if (fit === 'overlap') {
      this.value[context] = REFUSED;
      this.born[context] = now;
      this.expiry[context] = now + HOLD_MS;
    }
    if (fit === 'complete') this.free(context);
    return fit === 'part' || fit === 'complete';
  }

  private lookup(bytes: Uint8Array, view: PacketView, zone: Zone, now: number): number {
    if (this.used === 0) return NO_CONTEXT;
    const fingerprint = fingerprintOf(bytes, view, zone);
    let context = this.fingerprint.indexOf(fingerprint);
    while (context !== NO_CONTEXT && !this.isKey(context, bytes, view, zone)) {
      context = this.fingerprint.indexOf(fingerprint, context + 1);
    }
    if (context === NO_CONTEXT || now < this.expiry[context]) return context;
    this.free(context);
    return NO_CONTEXT;
  }

  private isKey(context: number, bytes: Uint8Array, view: PacketView, zone: Zone): boolean {
    if (this.id[context] !== view.fragmentId || this.zone[context] !== zone) return false;
    if (this.protocol[context] !== keyProtocol(view)) return false;
    const at = context * KEY_SIZE;
    const size = 2 * view.addressSize;
    for (let i = 0; i < size; i++) if (this.addresses[at + i] !== bytes[view.source + i]) return false;
    return true;
  }

  /** A context whose first fragment is missing. */
  private create(bytes: Uint8Array, view: PacketView, zone: Zone, now: number): number {
    if (this.zoneContexts[ZONE_BASE + zone] === MAX_ZONE_CONTEXTS) this.freeOldest(zone, false);
    if (this.used === MAX_CONTEXTS) this.freeOldest(zone, true);
    const context = this.fingerprint.indexOf(0);
    this.fingerprint[context] = fingerprintOf(bytes, view, zone);
    this.id[context] = view.fragmentId;
    this.zone[context] = zone;
    this.protocol[context] = keyProtocol(view);
    const at = context * KEY_SIZE;
    const size = 2 * view.addressSize;
    for (let i = 0; i < size; i++) this.addresses[at + i] = bytes[view.source + i];
    this.value[context] = HELD;
    this.born[context] = now;
    this.expiry[context] = now + HOLD_MS;
    this.coverage.clear(context);
    this.zoneContexts[ZONE_BASE + zone]++;
    this.used++;
    return context;
  }

  /** Of `zone`, or of all. */
  private freeOldest(zone: Zone, ofAll: boolean): void {
    const { fingerprint, zone: zones, born } = this;
    let oldest = NO_CONTEXT;
    for (let context = 0; context < MAX_CONTEXTS; context++) {
      if (fingerprint[context] === 0 || (!ofAll && zones[context] !== zone)) continue;
      if (oldest === NO_CONTEXT || born[context] < born[oldest]) oldest = context;
    }
    this.free(oldest);
  }

  private free(context: number): void {
    if (this.value[context] === HELD) this.held.discard(context);
    this.fingerprint[context] = 0;
    this.zoneContexts[ZONE_BASE + this.zone[context]]--;
    this.used--;
  }
}

/** Could it be part of a packet at all? RFC 791: all but the last carry multiples of 8 bytes. */
function isSound({ fragmentOffset, fragmentLength, moreFragments }: PacketView): boolean {
  if (fragmentLength <= 0 || fragmentOffset === TINY_OFFSET) return false;
  if (moreFragments && (fragmentLength & 7) !== 0) return false;
  return fragmentOffset + fragmentLength <= MAX_PACKET;
}

/** RFC 8200 4.5: in IPv6 the protocol is not part of the key. */
function keyProtocol(view: PacketView): number {
  return view.family === 4 ? view.protocol : 0;
}

/** Never 0. Whoever makes them collide costs himself: at most MAX_ZONE_CONTEXTS are his. */
function fingerprintOf(bytes: Uint8Array, view: PacketView, zone: Zone): number {
  let hash = Math.imul(view.fragmentId ^ (zone << 16), 0x9e3779b1) ^ keyProtocol(view);
  const end = view.source + 2 * view.addressSize;
  for (let at = view.source; at < end; at += 4)
    hash = Math.imul(hash ^ readInt32(bytes, at), 0x85ebca6b) ^ (hash >>> 15);
  return hash | 1;
}
