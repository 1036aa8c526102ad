/**
 * Packet ids of the sending side: a 32-bit counter and the epoch (Unix seconds) it belongs to, big endian, id first.
 * The pair never repeats under one key, which is what replay protection rests on.
 */
import { readUint32, writeUint32 } from '../packet/word.ts';

/** Packet id (4) and epoch (4) in front of every payload. */
export const PACKET_ID_SIZE = 8;
const MAX_PACKET_ID = 0xffffffff;

/** Id of the packet whose plaintext starts at `offset`. */
export function readPacketId(bytes: Uint8Array, offset: number): number {
  return readUint32(bytes, offset);
}

/** Epoch of the packet whose plaintext starts at `offset`, Unix seconds. */
export function readEpoch(bytes: Uint8Array, offset: number): number {
  return readUint32(bytes, offset + 4);
}

export class PacketIdSender {
  /** Last id used; 0 before the first packet of an epoch. */
  private lastId = 0;
  /** Unix seconds; 0 until the first packet latches it. */
  private currentEpoch = 0;
  private earliestEpoch = 0;

  get id(): number {
    return this.lastId;
  }

  get epoch(): number {
    return this.currentEpoch;
  }

  /**
   * Begins a new epoch at id 1 with the next packet. The epoch will be at least `earliestEpochSec` and later than the
   * one before, so that two restarts within a second never use an id twice (stock pauses a second instead).
   */
  start(earliestEpochSec = 0): void {
    this.earliestEpoch = Math.max(this.earliestEpoch, this.currentEpoch + 1, earliestEpochSec);
    this.currentEpoch = 0;
    this.lastId = 0;
  }

  /**
   * Writes the next id and the epoch, 8 bytes. False when ids are used up and the clock (`nowSec`, Unix seconds) has
   * not moved past the epoch: the packet must then be dropped.
   */
  write(bytes: Uint8Array, offset: number, nowSec: number): boolean {
    if (this.currentEpoch === 0) {
      this.currentEpoch = Math.max(nowSec, this.earliestEpoch);
    } else if (this.lastId === MAX_PACKET_ID) {
      if (nowSec <= this.currentEpoch) return false;
      this.currentEpoch = nowSec;
      this.lastId = 0;
    }
    this.lastId += 1;
    writeUint32(bytes, offset, this.lastId);
    writeUint32(bytes, offset + 4, this.currentEpoch);
    return true;
  }
}
