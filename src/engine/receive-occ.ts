/**
 * OCC messages from the peer: notes what must be answered or acted on; the engine's tick does it. `whole`: the datagram came
 * in one IP packet.
 */
import { CONSUMED, DropReason, type Verdict } from '../packet/verdict.ts';
import { OccOpcode } from '../protocol/constants.ts';
import {
  occOpcode,
  readLoadTotal,
  readOccLoadSize,
  readOccOptions,
  readRequestedTotal,
} from '../protocol/occ.ts';
import type { EngineContext, Now } from './context.ts';
import { OccAnswer } from './occ-exchange.ts';
import type { Peer } from './peer.ts';

export function receiveOcc(
  context: EngineContext,
  peer: Peer,
  bytes: Uint8Array,
  start: number,
  length: number,
  whole: boolean,
  now: Now,
): Verdict {
  const { occ } = peer;
  switch (occOpcode(bytes, start, length)) {
    case OccOpcode.Request:
      occ.owe(OccAnswer.Options);
      return CONSUMED;
    case OccOpcode.Reply:
      occ.answered();
      context.emit({ kind: 'occ', peer: peer.index, options: readOccOptions(bytes, start, length) });
      return CONSUMED;
    case OccOpcode.MtuLoadRequest: {
      const size = readOccLoadSize(bytes, start, length);
      if (size < 0) return DropReason.Occ;
      occ.oweLoad({ size, total: readRequestedTotal(bytes, start, length) });
      return CONSUMED;
    }
    case OccOpcode.MtuRequest:
      occ.owe(OccAnswer.Mtu);
      return CONSUMED;
    case OccOpcode.MtuLoad:
      peer.mtuProbe?.load(length, readLoadTotal(bytes, start, length), whole, now.ms);
      return CONSUMED;
    case OccOpcode.MtuReply:
      return CONSUMED;
    case OccOpcode.Exit:
      if (occ.peerExits(now.ms)) peer.exited = true;
      return CONSUMED;
    default:
      return DropReason.Occ;
  }
}
