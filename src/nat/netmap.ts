/**
 * Stateless 1:1 translation between a peer's local view and the wire (`client-nat`, `nat netmap`), applied to every
 * packet of the peer:
 *
 *     rule                 outbound (local to wire)            inbound (wire to local)
 *     snat LOCAL WIRE      source in LOCAL goes to WIRE        destination in WIRE goes to LOCAL
 *     dnat LOCAL WIRE      destination in LOCAL goes to WIRE   source in WIRE goes to LOCAL
 *
 * The first rule that matches an address decides, and each address is translated once. The packet that an ICMP error
 * quotes went the other way: its source is translated by the rules for destinations, and its destination by those for
 * sources.
 */
import type { Batch } from '../packet/batch.ts';
import { prefixFamily, type Prefix } from '../packet/prefix.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { nptAdjustment, nptTranslate, replacePrefix } from './npt.ts';
import { createView, type PacketView } from './packet-view.ts';
import {
  KEEP_PORT,
  quotedSum,
  rewriteDestination,
  rewriteSource,
  updateErrorChecksum,
  verifyIcmpError,
} from './rewrite.ts';
import type { NetmapRule } from './rule.ts';

export type Direction = 'outbound' | 'inbound';
export type End = 'source' | 'destination';

/** One rule as seen by one end of the packets of one direction. */
interface Mapping {
  readonly rule: NetmapRule;
  readonly from: Prefix;
  readonly to: Prefix;
  /** Of IPv6 (RFC 6296). */
  readonly adjustment: number;
}

/** The mappings of one end, in the rules' order. */
interface EndMappings {
  readonly ipv4: readonly Mapping[];
  readonly ipv6: readonly Mapping[];
}

type DirectionMappings = Readonly<Record<End, EndMappings>>;

/** What an address becomes, and by which rule; `address` is undefined when it has no counterpart (RFC 6296). */
export interface MappedAddress {
  readonly rule: NetmapRule;
  readonly address: Uint8Array | undefined;
}

const view = createView();
const newSource = new Uint8Array(16);
const newDestination = new Uint8Array(16);

export class Netmap {
  private readonly directions: Readonly<Record<Direction, DirectionMappings>>;

  constructor(rules: readonly NetmapRule[]) {
    const snat = rules.filter(({ kind }) => kind === 'snat');
    const dnat = rules.filter(({ kind }) => kind === 'dnat');
    this.directions = {
      outbound: { source: endMappings(snat, 'outbound'), destination: endMappings(dnat, 'outbound') },
      inbound: { source: endMappings(dnat, 'inbound'), destination: endMappings(snat, 'inbound') },
    };
  }

  /**
   * Translates the packet in `slot` from local to wire. PASS: translated, or matched by no rule. NatUnmappable,
   * NatHeader, NatFragment, IcmpChecksum: matched, and cannot be translated.
   */
  outbound(batch: Batch, slot: number): Verdict {
    return translate(batch, slot, this.directions.outbound);
  }

  /** As `outbound`, from wire to local. */
  inbound(batch: Batch, slot: number): Verdict {
    return translate(batch, slot, this.directions.inbound);
  }

  /** What one address becomes; undefined when no rule matches. For people and previews: allocates. */
  map(direction: Direction, end: End, address: Uint8Array): MappedAddress | undefined {
    const { ipv4, ipv6 } = this.directions[direction][end];
    const mapping = find(address.length === 4 ? ipv4 : ipv6, address, 0);
    if (mapping === undefined) return undefined;
    const copy = address.slice();
    return { rule: mapping.rule, address: mapAddress(mapping, copy, 0) ? copy : undefined };
  }
}

function endMappings(rules: readonly NetmapRule[], direction: Direction): EndMappings {
  const mappings = rules.map((rule) => {
    const [from, to] = direction === 'outbound' ? [rule.local, rule.wire] : [rule.wire, rule.local];
    return { rule, from, to, adjustment: prefixFamily(from) === 6 ? nptAdjustment(from, to) : 0 };
  });
  return {
    ipv4: mappings.filter(({ from }) => prefixFamily(from) === 4),
    ipv6: mappings.filter(({ from }) => prefixFamily(from) === 6),
  };
}

function find(mappings: readonly Mapping[], bytes: Uint8Array, at: number): Mapping | undefined {
  for (let i = 0; i < mappings.length; i++) {
    if (isInside(mappings[i].from, bytes, at)) return mappings[i];
  }
  return undefined;
}

function isInside({ bytes: prefix, length }: Prefix, bytes: Uint8Array, at: number): boolean {
  const whole = length >> 3;
  for (let i = 0; i < whole; i++) if (bytes[at + i] !== prefix[i]) return false;
  const rest = length & 7;
  return rest === 0 || ((bytes[at + whole] ^ prefix[whole]) & (0xff00 >> rest) & 0xff) === 0;
}

/** Translates the address at `at` in place; false when it has no counterpart. */
function mapAddress({ to, adjustment }: Mapping, bytes: Uint8Array, at: number): boolean {
  if (to.bytes.length === 16) return nptTranslate(bytes, at, to, adjustment);
  replacePrefix(bytes, at, to);
  return true;
}

function translate(batch: Batch, slot: number, { source, destination }: DirectionMappings): Verdict {
  const readable = view.readSlot(batch, slot);
  if (readable === DropReason.InnerVersion || readable === DropReason.InnerHeader) return readable;
  const { bytes } = batch;
  const sources = view.family === 4 ? source.ipv4 : source.ipv6;
  const destinations = view.family === 4 ? destination.ipv4 : destination.ipv6;
  if (sources.length === 0 && destinations.length === 0) return PASS;
  if (view.kind === 'icmp-error') {
    // Its own addresses need not match for those it quotes to do: any router may say it.
    const verdict = readable === PASS ? translateQuoted(bytes, sources, destinations) : readable;
    if (verdict !== PASS) return verdict;
  }
  const ofSource = find(sources, bytes, view.source);
  const ofDestination = find(destinations, bytes, view.destination);
  if (ofSource === undefined && ofDestination === undefined) return PASS;
  return readable === PASS ? translateEnds(bytes, view, ofSource, ofDestination) : readable;
}

function translateQuoted(
  bytes: Uint8Array,
  sources: readonly Mapping[],
  destinations: readonly Mapping[],
): Verdict {
  const quoted = view.quoted!;
  const ofSource = find(destinations, bytes, quoted.source);
  const ofDestination = find(sources, bytes, quoted.destination);
  if (ofSource === undefined && ofDestination === undefined) return PASS;
  const trusted = verifyIcmpError(bytes, view);
  if (trusted !== PASS) return trusted;
  const before = quotedSum(bytes, view);
  const verdict = translateEnds(bytes, quoted, ofSource, ofDestination);
  updateErrorChecksum(bytes, view, before);
  return verdict;
}

/** A packet that is dropped stays as it was: its sender may be told. */
function translateEnds(
  bytes: Uint8Array,
  packet: PacketView,
  ofSource: Mapping | undefined,
  ofDestination: Mapping | undefined,
): Verdict {
  const { source, destination, family } = packet;
  if (ofSource !== undefined && !prepare(ofSource, bytes, source, newSource)) return DropReason.NatUnmappable;
  if (ofDestination !== undefined && !prepare(ofDestination, bytes, destination, newDestination)) {
    return DropReason.NatUnmappable;
  }
  if (ofSource !== undefined) {
    if (family === 6) replaceNeutrally(bytes, source, newSource);
    else rewriteSource(bytes, packet, newSource, 0, KEEP_PORT);
  }
  if (ofDestination !== undefined) {
    if (family === 6) replaceNeutrally(bytes, destination, newDestination);
    else rewriteDestination(bytes, packet, newDestination, 0, KEEP_PORT);
  }
  return PASS;
}

/** Puts what the address at `at` becomes into `result`; false when it has no counterpart. */
function prepare(mapping: Mapping, bytes: Uint8Array, at: number, result: Uint8Array): boolean {
  const size = mapping.to.bytes.length;
  for (let i = 0; i < size; i++) result[i] = bytes[at + i];
  return mapAddress(mapping, result, 0);
}

/** RFC 6296 2.6: no checksum that covers the address changes, whatever the protocol. */
function replaceNeutrally(bytes: Uint8Array, at: number, address: Uint8Array): void {
  for (let i = 0; i < 16; i++) bytes[at + i] = address[i];
}
