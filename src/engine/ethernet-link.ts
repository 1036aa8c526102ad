/**
 * The other way to forward, on a TAP device: the device is a link to one peer, as with stock. Every frame of the kernel goes
 * to the peer and every frame of the peer to the kernel, whatever is in it; bridging, routing, ARP and address checks are the
 * kernel's. What is left of forward.ts is that SYNs announce what the path carries, and that the tunnel does not swallow
 * itself.
 */
import { NOT_IP, type Batch } from '../packet/batch.ts';
import { ETHERNET_HEADER, ethernetHeaderLength } from '../packet/ethernet.ts';
import { innerDestinationIs, innerLength } from '../packet/inner.ts';
import { clampMss } from '../packet/mss.ts';
import { segmentLength } from '../packet/segment.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { ZONE_TUN } from '../packet/zone.ts';
import { longestLinkHeader, type EngineContext } from './context.ts';
import type { Forwarding } from './forward.ts';
import type { Peer } from './peer.ts';

export class EthernetLink implements Forwarding {
  private readonly context: EngineContext;

  constructor(context: EngineContext) {
    this.context = context;
  }

  fromPeer(batch: Batch, slot: number, peer: Peer): Verdict {
    const framed = parseFrame(batch, slot);
    if (framed !== PASS) return framed;
    batch.target[slot] = ZONE_TUN;
    clampFrameMss(batch, slot, peer.mss);
    return PASS;
  }

  fromTun(batch: Batch, slot: number): Verdict {
    const { onlyPeer, settings } = this.context;
    const framed = parseFrame(batch, slot);
    if (framed !== PASS) return framed;
    // It could not be cut.
    if (batch.gsoSize[slot] > 0 && batch.network[slot] === NOT_IP) return DropReason.InnerHeader;
    if (onlyPeer === undefined || !onlyPeer.endpoint.known) return DropReason.NoPeer;
    batch.target[slot] = onlyPeer.index;
    if (onlyPeer.link === undefined) return DropReason.PeerRestarting;
    if (isRecursive(batch, slot, onlyPeer)) return DropReason.Recursive;
    // Nobody can be told: the device need not have an address.
    if (segmentLength(batch, slot) > onlyPeer.settings.tunMtu + longestLinkHeader(settings))
      return DropReason.TooBig;
    clampFrameMss(batch, slot, onlyPeer.mss);
    return PASS;
  }
}

/** Sets `batch.network`. */
function parseFrame({ bytes, start, length, network }: Batch, slot: number): Verdict {
  if (length[slot] < ETHERNET_HEADER) return DropReason.EthernetHeader;
  network[slot] = ethernetHeaderLength(bytes, start[slot], length[slot]);
  return PASS;
}

/** 0 is off. */
function clampFrameMss({ bytes, start, network }: Batch, slot: number, mss: number): void {
  if (mss === 0 || network[slot] === NOT_IP) return;
  const packet = start[slot] + network[slot];
  // A frame of less than 60 bytes may be padded.
  clampMss(bytes, packet, innerLength(bytes, packet), mss);
}

/** OpenVPN's drop_if_recursive_routing, which looks behind the Ethernet header, too. */
function isRecursive({ bytes, start, network }: Batch, slot: number, { settings, endpoint }: Peer): boolean {
  if (settings.allowRecursiveRouting || network[slot] === NOT_IP) return false;
  return innerDestinationIs(bytes, start[slot] + network[slot], endpoint.offset);
}
