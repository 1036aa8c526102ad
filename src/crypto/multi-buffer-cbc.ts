/**
 * AES-CBC over OpenSSL's internal routines. Encrypting one packet is serial and leaves most of the CPU's AES units
 * idle; up to eight packets in lock step keep them busy. Decryption is parallel within a packet and needs no lanes.
 */
import { CBC_LANE, LANES } from '../ffi/libcrypto-multibuffer.ts';
import type { MultiBuffer } from '../ffi/libcrypto-multibuffer.ts';
import { addressIn, NativeArena } from '../ffi/memory.ts';
import type { Arena } from '../packet/arena.ts';
import { BurstQueue } from './burst-queue.ts';
import type { BlockCipher } from './codec.ts';
import type { KeyMemory, KeyRow } from './key-memory.ts';

const BLOCK = 16;

const KEY_BITS: ReadonlyMap<string, number> = new Map([
  ['AES-128-CBC', 128],
  ['AES-192-CBC', 192],
  ['AES-256-CBC', 256],
]);

/** The table that a call reads, for all encryptions of a provider: nothing in it outlives the call. */
export class CbcLanes {
  private readonly arena = new NativeArena(4096);
  private readonly words = new Int32Array(this.arena.bytes.buffer, this.arena.bytes.byteOffset, 1024);
  private readonly table = this.arena.take(LANES * CBC_LANE.size);
  /** Unused lanes encrypt this. */
  private readonly nothing = this.arena.take(BLOCK);
  readonly address = this.arena.address + this.table;

  /** Describes the packet of a lane: address of its text, whole blocks, and where in `bytes` its IV is. */
  set(lane: number, text: number, blocks: number, bytes: Uint8Array, iv: number): void {
    const at = this.table + lane * CBC_LANE.size;
    this.words[(at + CBC_LANE.input) / 4] = text;
    this.words[(at + CBC_LANE.output) / 4] = text;
    this.words[(at + CBC_LANE.blocks) / 4] = blocks;
    const copy = at + CBC_LANE.iv;
    for (let i = 0; i < BLOCK; i++) this.arena.bytes[copy + i] = bytes[iv + i];
  }

  setUnused(lane: number): void {
    this.set(lane, this.arena.address + this.nothing, 1, this.arena.bytes, this.nothing);
  }
}

class Encryption implements BlockCipher {
  private readonly lib: MultiBuffer;
  private readonly keys: KeyMemory;
  private readonly row: KeyRow;
  private readonly lanes: CbcLanes;
  private readonly queue = new BurstQueue();
  private arena: Arena;

  constructor(lib: MultiBuffer, keys: KeyMemory, row: KeyRow, lanes: CbcLanes) {
    this.lib = lib;
    this.keys = keys;
    this.row = row;
    this.lanes = lanes;
    this.arena = row.arena;
  }

  add(arena: Arena, offset: number, length: number): void {
    addressIn(arena, offset);
    this.arena = arena;
    this.queue.add(offset, length);
  }

  run(): void {
    const { count } = this.queue;
    for (let from = 0; from < count; from += LANES) this.encrypt(from, Math.min(from + LANES, count));
    this.queue.count = 0;
  }

  dispose(): void {
    this.keys.giveBack(this.row);
  }

  private encrypt(from: number, end: number): void {
    const { lanes, queue } = this;
    const { address, bytes } = this.arena;
    const quads = end - from > LANES / 2 ? 2 : 1;
    for (let n = from; n < end; n++) {
      const offset = queue.offset[n];
      lanes.set(n - from, address + offset, queue.length[n] / BLOCK, bytes, offset - BLOCK);
    }
    for (let lane = end - from; lane < 4 * quads; lane++) lanes.setUnused(lane);
    this.lib.multiCbcEncrypt(lanes.address, this.row.address, quads);
  }
}

function createDecryption({ cbc }: MultiBuffer, keys: KeyMemory, row: KeyRow): BlockCipher {
  const schedule = row.address;
  return {
    add(arena, offset, length) {
      const text = addressIn(arena, offset);
      cbc(text, text, length, schedule, text - BLOCK, 0);
    },
    run() {},
    dispose() {
      keys.giveBack(row);
    },
  };
}

export function hasMultiBufferCbc(cipher: string): boolean {
  return KEY_BITS.has(cipher);
}

/** The cipher, or undefined when there is nothing here for it. */
export function createMultiBufferCbc(
  lib: MultiBuffer,
  keys: KeyMemory,
  lanes: CbcLanes,
  { name, key, encrypt }: { name: string; key: Uint8Array; encrypt: boolean },
): BlockCipher | undefined {
  const bits = KEY_BITS.get(name);
  if (bits === undefined) return undefined;
  const raw = keys.take();
  const row = keys.take();
  raw.arena.bytes.set(key, raw.offset);
  const expand = encrypt ? lib.setEncryptKey : lib.setDecryptKey;
  expand(raw.address, bits, row.address);
  keys.giveBack(raw);
  return encrypt ? new Encryption(lib, keys, row, lanes) : createDecryption(lib, keys, row);
}
