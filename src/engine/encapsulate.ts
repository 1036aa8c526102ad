/**
 * Payloads become datagrams, in place: framing, packet id, encryption and HMAC, each written in front of the last.
 * The same for tunnelled packets, pings and OCC messages. With `fragment` they come framed and cut (splitter.ts).
 */
import type { Batch } from '../packet/batch.ts';
import { DropReason, PASS } from '../packet/verdict.ts';
import { PACKET_ID_SIZE } from '../protocol/packet-id.ts';
import { datagramTag, type OwnPackets } from '../protocol/reflection.ts';
import type { Peer } from './peer.ts';

/** Slots first..end-1 whose verdict is PASS become datagrams addressed to `peer`. */
export function encapsulate(batch: Batch, first: number, end: number, peer: Peer, nowSec: number): void {
  const { framing, packetIds, endpoint } = peer;
  const framed = peer.fragmenter !== undefined;
  const numbered = peer.replay !== undefined;
  for (let slot = first; slot < end; slot++) {
    if (batch.verdict[slot] !== PASS) continue;
    if (!framed) framing.frame(batch, slot);
    if (numbered) {
      batch.start[slot] -= PACKET_ID_SIZE;
      batch.length[slot] += PACKET_ID_SIZE;
      if (!packetIds.write(batch.bytes, batch.start[slot], nowSec))
        batch.verdict[slot] = DropReason.IdRollover;
    }
    batch.endpoint[slot] = endpoint.offset;
  }
  peer.sealer.seal(batch, first, end);
  if (peer.ownPackets !== undefined) rememberOwn(batch, first, end, peer, peer.ownPackets);
}

/** Ids were given out in slot order, so counting back from the last one finds each. */
function rememberOwn(batch: Batch, first: number, end: number, peer: Peer, own: OwnPackets): void {
  let { id } = peer.packetIds;
  for (let slot = end - 1; slot >= first && id > 0; slot--) {
    if (batch.verdict[slot] === PASS) own.sent(id--, datagramTag(batch.bytes, batch.start[slot]));
  }
}
