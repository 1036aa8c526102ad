/**
 * IPv4 fragmentation (RFC 791 3.2, "An Example Fragmentation Procedure"): a packet longer than the next hop's MTU
 * becomes several, in order. All keep the packet's identification, as its sender chose it; a packet that is a fragment
 * itself becomes smaller ones of the same datagram.
 */
import type { Batch } from './batch.ts';
import {
  FRAGMENT_UNIT,
  ipVersion,
  IPV4_MIN_HEADER,
  ipv4DontFragment,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  Ipv4Option,
  ipv4OptionSize,
  ipv4TotalLength,
  setIpv4Fragment,
} from './ipv4.ts';

/** RFC 791 3.2: every link carries this much, the longest header and one unit of payload. */
const MIN_MTU = 68;
/** Longest payload of a datagram, bytes, for a header without options. */
const MAX_PAYLOAD = 65535 - IPV4_MIN_HEADER;
/** The option belongs into every fragment (RFC 791 3.1). */
const COPIED = 0x80;
/** Target of options that are only measured. */
const NOWHERE = -1;

/** What the fragments of one packet have in common; one object, filled anew for each. Sizes in bytes. */
interface Plan {
  count: number;
  payload: number;
  /** Header and payload of the first fragment. */
  firstHeader: number;
  firstPayload: number;
  /** Header and payload of the others; the last one's payload is what is left. */
  header: number;
  piece: number;
}

const plan: Plan = { count: 0, payload: 0, firstHeader: 0, firstPayload: 0, header: 0, piece: 0 };

/**
 * May the packet at `start` be fragmented for `mtu`: IPv4 without the don't-fragment flag, and not already a fragment
 * that reaches beyond the longest datagram? The packet has passed `checkInner`.
 */
export function mayFragment(bytes: Uint8Array, start: number, mtu: number): boolean {
  if (mtu < MIN_MTU || ipVersion(bytes, start) !== 4 || ipv4DontFragment(bytes, start)) return false;
  const payload = ipv4TotalLength(bytes, start) - ipv4HeaderLength(bytes, start);
  return ipv4FragmentOffset(bytes, start) * FRAGMENT_UNIT + payload <= MAX_PAYLOAD;
}

/** Packets of at most `mtu` bytes that the packet in `slot` becomes; it `mayFragment` and is no super-packet. */
export function fragmentCount(batch: Batch, slot: number, mtu: number): number {
  fillPlan(batch, slot, mtu);
  return plan.count;
}

/**
 * Appends fragments of the packet in `slot` of `from`, which `mayFragment`, to `to`, beginning with number `first`, until
 * all are there or `to` is full; returns the number of the next one, `fragmentCount` when done. `to` lies in the same
 * arena and its buffers hold `mtu` bytes. The packet itself stays as it is.
 */
export function fragment(from: Batch, slot: number, first: number, to: Batch, mtu: number): number {
  fillPlan(from, slot, mtu);
  let index = first;
  while (index < plan.count && to.count < to.slots) {
    const start = to.packetOffset(to.count);
    to.commit(to.count++, writeFragment(to.bytes, from.start[slot], index, start));
    index++;
  }
  return index;
}

function fillPlan(batch: Batch, slot: number, mtu: number): void {
  const start = batch.start[slot];
  const firstHeader = ipv4HeaderLength(batch.bytes, start);
  const header = writeCopiedOptions(batch.bytes, start, firstHeader, NOWHERE);
  const payload = batch.length[slot] - firstHeader;
  plan.firstHeader = firstHeader;
  plan.header = header;
  plan.payload = payload;
  plan.firstPayload = wholeUnits(mtu - firstHeader);
  plan.piece = wholeUnits(mtu - header);
  // The last one need not end with a whole unit, so that it may hold up to 7 bytes more than the others.
  const behindFirstAndLast = payload - plan.firstPayload - (mtu - header);
  plan.count = payload <= mtu - firstHeader ? 1 : 2 + Math.max(0, Math.ceil(behindFirstAndLast / plan.piece));
}

function wholeUnits(size: number): number {
  return size - (size % FRAGMENT_UNIT);
}

/** Writes fragment `index` of the packet at `source` to `start`; returns its length. */
function writeFragment(bytes: Uint8Array, source: number, index: number, start: number): number {
  const first = index === 0;
  const last = index === plan.count - 1;
  const skipped = first ? 0 : plan.firstPayload + (index - 1) * plan.piece;
  const header = first ? plan.firstHeader : plan.header;
  const whole = first ? plan.firstPayload : plan.piece;
  const payload = last ? plan.payload - skipped : whole;
  const from = source + plan.firstHeader + skipped;
  bytes.copyWithin(start, source, source + header);
  if (!first) writeCopiedOptions(bytes, source, plan.firstHeader, start);
  bytes.copyWithin(start + header, from, from + payload);
  setIpv4Fragment(bytes, start, header, header + payload, skipped / FRAGMENT_UNIT, !last);
  return header + payload;
}

/**
 * Writes the options of the packet at `source` that every fragment has to the header at `start`, padded; returns the
 * length of that header. Options behind a malformed one are not read.
 */
function writeCopiedOptions(bytes: Uint8Array, source: number, header: number, start: number): number {
  const end = source + header;
  let option = source + IPV4_MIN_HEADER;
  let length = IPV4_MIN_HEADER;
  while (option < end && bytes[option] !== Ipv4Option.End) {
    const size = ipv4OptionSize(bytes, option, end);
    if (size === 0) break;
    if ((bytes[option] & COPIED) !== 0) {
      if (start !== NOWHERE) bytes.copyWithin(start + length, option, option + size);
      length += size;
    }
    option += size;
  }
  const padded = Math.ceil(length / 4) * 4;
  if (start !== NOWHERE) bytes.fill(Ipv4Option.End, start + length, start + padded);
  return padded;
}
