/**
 * The other way to forward, on a TAP device: the device is a link to one peer, as with stock. Every frame of the kernel goes
 * to the peer and every frame of the peer to the kernel, whatever is in it; bridging, routing, ARP and address checks are the
 * kernel's. What is left of forward.ts is that SYNs announce what the path carries, and that the tunnel does not swallow
 * itself.
 */
import type { Batch } from '../packet/batch.ts';
import { clampFrameMss, ETHERNET_HEADER, ipOffset } from '../packet/ethernet.ts';
import { innerDestinationIs } from '../packet/inner.ts';
import { segmentLength } from '../packet/segment.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { ZONE_TUN } from '../packet/zone.ts';
import { linkHeader, type EngineContext } from './context.ts';
import type { Forwarding } from './forward.ts';
import type { Peer } from './peer.ts';

export class EthernetLink implements Forwarding {
  private readonly context: EngineContext;

  constructor(context: EngineContext) {
    this.context = context;
  }

  fromPeer(batch: Batch, slot: number, peer: Peer): Verdict {
    if (batch.length[slot] < ETHERNET_HEADER) return DropReason.EthernetHeader;
    batch.target[slot] = ZONE_TUN;
    if (peer.mss === 0) return PASS;
    const start = batch.start[slot];
    const ip = ipOffset(batch.bytes, start, batch.length[slot]);
    if (ip > 0) clampFrameMss(batch.bytes, start, ip, peer.mss);
    return PASS;
  }

  fromTun(batch: Batch, slot: number): Verdict {
    const { onlyPeer, settings } = this.context;
    if (batch.length[slot] < ETHERNET_HEADER) return DropReason.EthernetHeader;
    if (onlyPeer === undefined || !onlyPeer.endpoint.known) return DropReason.NoPeer;
    batch.target[slot] = onlyPeer.index;
    if (onlyPeer.link === undefined) return DropReason.PeerRestarting;
    // Nobody can be told: a bridge has no address.
    if (segmentLength(batch, slot) > onlyPeer.settings.tunMtu + linkHeader(settings))
      return DropReason.TooBig;
    const start = batch.start[slot];
    const ip = ipOffset(batch.bytes, start, batch.length[slot]);
    if (ip === 0) return PASS;
    if (isRecursive(batch.bytes, start + ip, onlyPeer)) return DropReason.Recursive;
    if (onlyPeer.mss > 0) clampFrameMss(batch.bytes, start, ip, onlyPeer.mss);
    return PASS;
  }
}

/** OpenVPN's drop_if_recursive_routing, which looks behind the Ethernet header, too. */
function isRecursive(bytes: Uint8Array, packet: number, { settings, endpoint }: Peer): boolean {
  return !settings.allowRecursiveRouting && innerDestinationIs(bytes, packet, endpoint.offset);
}
