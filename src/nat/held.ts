/**
 * Fragments that came before the first of their packet, copied into chains of blocks. Whoever needs room drops the
 * oldest: a zone its own beyond its share, and any when the memory is used up. A fragment goes by the number of its
 * first block.
 */
import type { Batch } from '../packet/batch.ts';
import { MAX_PEERS, type Zone } from '../packet/zone.ts';

/** Three for a packet of 1500 bytes. */
const BLOCK_SIZE = 512;
/** 1 MiB, and 256 KiB for one zone. */
const BLOCKS = 2048;
const ZONE_BLOCKS = 512;

/** `takeReady`: nothing is ready. */
export const NO_ZONE = -0x8000;

/** In place of a context: may go on. */
const READY = -1;
/** Ends a chain of blocks and the list of fragments. */
const NONE = -1;
/** Zones begin at ZONE_ICMP, -2. */
const ZONE_BASE = 2;

export class HeldFragments {
  /** Fragments dropped so far, for want of room or of a first fragment. */
  dropped = 0;
  private ready = 0;
  private readonly memory = new Uint8Array(BLOCKS * BLOCK_SIZE);
  /** The block that follows in a fragment, or in the chain of free ones. */
  private readonly nextBlock = Int16Array.from({ length: BLOCKS }, (_, block) => block + 1);
  private firstFree = 0;
  private freeBlocks = BLOCKS;
  private readonly zoneBlocks = new Int32Array(ZONE_BASE + MAX_PEERS);
  private readonly length = new Int32Array(BLOCKS);
  private readonly zone = new Int16Array(BLOCKS);
  /** The context each fragment waits for, or READY. */
  private readonly context = new Int16Array(BLOCKS);
  /** The list of fragments by age. */
  private readonly older = new Int16Array(BLOCKS);
  private readonly newer = new Int16Array(BLOCKS);
  private oldest = NONE;
  private newest = NONE;

  /** Copies `bytes[start .. start + length)`, a packet from `zone`, until the first fragment of `context` comes. */
  hold(bytes: Uint8Array, start: number, length: number, zone: Zone, context: number): void {
    const needed = blocksFor(length);
    while (this.zoneBlocks[ZONE_BASE + zone] + needed > ZONE_BLOCKS) this.dropOldest(zone);
    while (this.freeBlocks < needed) this.dropOldest(NO_ZONE);
    const fragment = this.firstFree;
    this.length[fragment] = length;
    this.zone[fragment] = zone;
    this.context[fragment] = context;
    this.append(fragment);
    this.zoneBlocks[ZONE_BASE + zone] += needed;
    this.freeBlocks -= needed;
    const { memory, nextBlock } = this;
    let last = NONE;
    for (let done = 0; done < length; done += BLOCK_SIZE) {
      last = this.firstFree;
      this.firstFree = nextBlock[last];
      const to = last * BLOCK_SIZE;
      const size = Math.min(BLOCK_SIZE, length - done);
      for (let i = 0; i < size; i++) memory[to + i] = bytes[start + done + i];
    }
    nextBlock[last] = NONE;
  }

  /** What waits for `context` may go on. */
  makeReady(context: number): void {
    for (let fragment = this.oldest; fragment !== NONE; fragment = this.newer[fragment]) {
      if (this.context[fragment] !== context) continue;
      this.context[fragment] = READY;
      this.ready++;
    }
  }

  /** Drops what waits for `context`. */
  discard(context: number): void {
    let fragment = this.oldest;
    while (fragment !== NONE) {
      const newer = this.newer[fragment];
      if (this.context[fragment] === context) this.drop(fragment);
      fragment = newer;
    }
  }

  /** Copies the oldest that may go on, and fits, to `slot`'s own buffer; its zone, or NO_ZONE. */
  takeReady(batch: Batch, slot: number): Zone {
    while (this.ready > 0) {
      let fragment = this.oldest;
      while (this.context[fragment] !== READY) fragment = this.newer[fragment];
      if (this.length[fragment] <= batch.capacity) return this.moveTo(batch, slot, fragment);
      this.drop(fragment);
    }
    return NO_ZONE;
  }

  private moveTo(batch: Batch, slot: number, fragment: number): Zone {
    const { bytes } = batch;
    const to = batch.packetOffset(slot);
    const length = this.length[fragment];
    let block = fragment;
    for (let done = 0; done < length; done += BLOCK_SIZE) {
      const from = block * BLOCK_SIZE;
      const size = Math.min(BLOCK_SIZE, length - done);
      for (let i = 0; i < size; i++) bytes[to + done + i] = this.memory[from + i];
      block = this.nextBlock[block];
    }
    batch.commit(slot, length);
    this.remove(fragment);
    return this.zone[fragment];
  }

  /** Of `zone`, which has one, or of all. */
  private dropOldest(zone: Zone): void {
    let fragment = this.oldest;
    while (zone !== NO_ZONE && this.zone[fragment] !== zone) fragment = this.newer[fragment];
    this.drop(fragment);
  }

  private drop(fragment: number): void {
    this.dropped++;
    this.remove(fragment);
  }

  private append(fragment: number): void {
    this.older[fragment] = this.newest;
    this.newer[fragment] = NONE;
    if (this.newest === NONE) this.oldest = fragment;
    else this.newer[this.newest] = fragment;
    this.newest = fragment;
  }

  private remove(fragment: number): void {
    if (this.context[fragment] === READY) this.ready--;
    const older = this.older[fragment];
    const newer = this.newer[fragment];
    if (older === NONE) this.oldest = newer;
    else this.newer[older] = newer;
    if (newer === NONE) this.newest = older;
    else this.older[newer] = older;
    const blocks = blocksFor(this.length[fragment]);
    this.zoneBlocks[ZONE_BASE + this.zone[fragment]] -= blocks;
    this.freeBlocks += blocks;
    let last = fragment;
    while (this.nextBlock[last] !== NONE) last = this.nextBlock[last];
    this.nextBlock[last] = this.firstFree;
    this.firstFree = fragment;
  }
}

function blocksFor(length: number): number {
  return Math.ceil(length / BLOCK_SIZE);
}
