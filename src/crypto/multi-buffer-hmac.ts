/**
 * HMAC with SHA-1, SHA-224 and SHA-256 over OpenSSL's internal multi-block hashes: up to eight packets in lock step, in
 * three calls. The first hashes the whole blocks of each packet, the second its tail, the third the outer hash.
 */
import { HASH_LANE, LANES } from '../ffi/libcrypto-multibuffer.ts';
import type { MultiBuffer } from '../ffi/libcrypto-multibuffer.ts';
import { addressIn, NativeArena } from '../ffi/memory.ts';
import type { Arena } from '../packet/arena.ts';
import { BurstQueue } from './burst-queue.ts';
import type { Mac } from './codec.ts';
import type { KeyMemory, KeyRow } from './key-memory.ts';

const BLOCK = 64;
/** Fewer packets than this are hashed one by one: lanes that stay empty cost as much as full ones. */
const MIN_LANES = 4;
/** What is left of a message after its whole blocks, 0x80, zeros and the length in bits (FIPS 180-4 5.1.1). */
const TAIL_SIZE = 2 * BLOCK;
const LENGTH_FIELD = 8;

interface HashKind {
  /** FIPS 180-4 5.3. */
  readonly initial: readonly number[];
  /** 32-bit words of the tag. */
  readonly tagWords: number;
  readonly multiBlock: 'sha1MultiBlock' | 'sha256MultiBlock';
}

// prettier-ignore
const HASHES: ReadonlyMap<string, HashKind> = new Map([
  ['SHA1', {
    initial: [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0],
    tagWords: 5, multiBlock: 'sha1MultiBlock',
  }],
  ['SHA224', {
    initial: [0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939, 0xffc00b31, 0x68581511, 0x64f98fa7, 0xbefa4fa4],
    tagWords: 7, multiBlock: 'sha256MultiBlock',
  }],
  ['SHA256', {
    initial: [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19],
    tagWords: 8, multiBlock: 'sha256MultiBlock',
  }],
]);

/** Offsets in a row of key memory: states of all lanes after the key's block, and room to work on a copy. */
const KEY = { inner: 0, outer: 256, states: 512 } as const;
const STATES_WORDS = 64;

function wordsOf({ bytes }: Arena): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

function swapBytes(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/** The table that a call reads and the blocks it may point to, for all HMACs of a provider. */
export class HashLanes {
  private readonly arena = new NativeArena(4096);
  private readonly bytes = this.arena.bytes;
  private readonly words = wordsOf(this.arena);
  private readonly table = this.arena.take(LANES * HASH_LANE.size);
  private readonly tails = this.arena.take(LANES * TAIL_SIZE);
  /** Lanes without a packet hash this. */
  private readonly nothing = this.arena.take(BLOCK);
  readonly address = this.arena.address + this.table;

  /** The lane hashes `blocks` blocks at an address. */
  set(lane: number, input: number, blocks: number): void {
    const at = this.table + lane * HASH_LANE.size;
    this.words[(at + HASH_LANE.input) / 4] = input;
    this.words[(at + HASH_LANE.blocks) / 4] = blocks;
  }

  setUnused(lane: number): void {
    this.set(lane, this.arena.address + this.nothing, 1);
  }

  /** The lane hashes the end of a message that is in `bytes` and has a block, the key's, before it. */
  setTail(lane: number, bytes: Uint8Array, offset: number, length: number): void {
    const rest = length % BLOCK;
    const tail = this.tails + lane * TAIL_SIZE;
    const from = offset + length - rest;
    const size = rest + 1 + LENGTH_FIELD > BLOCK ? TAIL_SIZE : BLOCK;
    const last = (tail + size) / 4 - 1;
    for (let i = (tail + rest) >> 2; i < last; i++) this.words[i] = 0;
    for (let i = 0; i < rest; i++) this.bytes[tail + i] = bytes[from + i];
    this.bytes[tail + rest] = 0x80;
    this.words[last] = swapBytes((BLOCK + length) * 8);
    this.set(lane, this.arena.address + tail, size / BLOCK);
  }

  /** The lane hashes a digest: every LANES-th of `count` words from `at` on. */
  setDigest(lane: number, states: Int32Array, at: number, count: number): void {
    const tail = this.tails + lane * TAIL_SIZE;
    const block = tail / 4;
    for (let i = 0; i < count; i++) this.words[block + i] = swapBytes(states[at + i * LANES]);
    this.words[block + count] = 0x80;
    const last = block + BLOCK / 4 - 1;
    for (let i = block + count + 1; i < last; i++) this.words[i] = 0;
    this.words[last] = swapBytes((BLOCK + count * 4) * 8);
    this.set(lane, this.arena.address + tail, 1);
  }

  /** All lanes hash the block that holds the key (RFC 2104), for as long as `use` runs. */
  withKeyBlock(key: Uint8Array, pad: number, use: () => void): void {
    for (let i = 0; i < BLOCK; i++) this.bytes[this.tails + i] = (key[i] ?? 0) ^ pad;
    for (let lane = 0; lane < LANES; lane++) this.set(lane, this.arena.address + this.tails, 1);
    use();
    this.bytes.fill(0, this.tails, this.tails + BLOCK);
  }
}

class MultiBufferHmac implements Mac {
  private readonly multiBlock: MultiBuffer['sha256MultiBlock'];
  private readonly kind: HashKind;
  private readonly keys: KeyMemory;
  private readonly row: KeyRow;
  /** Words of the row's arena, and where in them the states are. */
  private readonly words: Int32Array;
  private readonly states: number;
  private readonly lanes: HashLanes;
  private readonly single: Mac;
  private readonly queue = new BurstQueue();
  private arena: Arena;
  private out: Arena;

  constructor(lib: MultiBuffer, kind: HashKind, keys: KeyMemory, lanes: HashLanes, single: Mac) {
    this.multiBlock = lib[kind.multiBlock];
    this.kind = kind;
    this.keys = keys;
    this.row = keys.take();
    this.words = wordsOf(this.row.arena);
    this.states = (this.row.offset + KEY.states) / 4;
    this.lanes = lanes;
    this.single = single;
    this.arena = this.row.arena;
    this.out = this.row.arena;
  }

  setKey(key: Uint8Array): void {
    this.hashKey(key, 0x36, KEY.inner);
    this.hashKey(key, 0x5c, KEY.outer);
  }

  add(arena: Arena, offset: number, length: number, out: Arena, tag: number): void {
    addressIn(arena, offset);
    this.arena = arena;
    this.out = out;
    this.queue.add(offset, length, tag);
  }

  run(): void {
    const { queue, single } = this;
    let from = 0;
    for (; queue.count - from >= MIN_LANES; from += LANES)
      this.sign(from, Math.min(LANES, queue.count - from));
    for (; from < queue.count; from++) {
      single.add(this.arena, queue.offset[from], queue.length[from], this.out, queue.tag[from]);
    }
    single.run();
    queue.count = 0;
  }

  dispose(): void {
    this.keys.giveBack(this.row);
    this.single.dispose();
  }

  private hashKey(key: Uint8Array, pad: number, state: number): void {
    this.kind.initial.forEach((word, i) => {
      const at = this.states + i * LANES;
      this.words.fill(word, at, at + LANES);
    });
    this.lanes.withKeyBlock(key, pad, () => this.hash(LANES));
    this.words.copyWithin((this.row.offset + state) / 4, this.states, this.states + STATES_WORDS);
  }

  /** The HMACs of packets from..from+lanes-1 of the queue. */
  private sign(from: number, lanes: number): void {
    this.startAll(KEY.inner);
    this.hashWholeBlocks(from, lanes);
    this.hashTails(from, lanes);
    for (let lane = 0; lane < lanes; lane++)
      this.lanes.setDigest(lane, this.words, this.states + lane, this.kind.tagWords);
    this.startAll(KEY.outer);
    this.hash(lanes);
    for (let lane = 0; lane < lanes; lane++) this.writeTag(lane, this.queue.tag[from + lane]);
  }

  /** Starts all lanes from the state after the key. */
  private startAll(state: number): void {
    const from = (this.row.offset + state) / 4;
    this.words.copyWithin(this.states, from, from + STATES_WORDS);
  }

  private hashWholeBlocks(from: number, lanes: number): void {
    const { queue } = this;
    for (let lane = 0; lane < lanes; lane++) {
      const blocks = Math.floor(queue.length[from + lane] / BLOCK);
      if (blocks > 0) this.lanes.set(lane, this.arena.address + queue.offset[from + lane], blocks);
      else this.lanes.setUnused(lane);
    }
    this.hash(lanes);
    for (let lane = 0; lane < lanes; lane++) if (queue.length[from + lane] < BLOCK) this.restart(lane);
  }

  /** Forgets what a lane without a whole block has hashed instead. */
  private restart(lane: number): void {
    const inner = (this.row.offset + KEY.inner) / 4;
    for (let i = lane; i < STATES_WORDS; i += LANES) this.words[this.states + i] = this.words[inner + i];
  }

  private hashTails(from: number, lanes: number): void {
    const { queue } = this;
    for (let lane = 0; lane < lanes; lane++) {
      this.lanes.setTail(lane, this.arena.bytes, queue.offset[from + lane], queue.length[from + lane]);
    }
    this.hash(lanes);
  }

  /** Adds the blocks of the first `lanes` lanes to their states. */
  private hash(lanes: number): void {
    const quads = lanes > LANES / 2 ? 2 : 1;
    for (let lane = lanes; lane < 4 * quads; lane++) this.lanes.setUnused(lane);
    this.multiBlock(this.row.address + KEY.states, this.lanes.address, quads);
  }

  private writeTag(lane: number, tag: number): void {
    const { bytes } = this.out;
    for (let i = 0; i < this.kind.tagWords; i++) {
      const word = this.words[this.states + lane + i * LANES];
      const at = tag + 4 * i;
      bytes[at] = word >>> 24;
      bytes[at + 1] = word >>> 16;
      bytes[at + 2] = word >>> 8;
      bytes[at + 3] = word;
    }
  }
}

export function hasMultiBufferHmac(digest: string): boolean {
  return HASHES.has(digest);
}

/**
 * The HMAC, or undefined when there is nothing here for it. `single` signs what does not fill enough lanes; it belongs to
 * the HMAC made here.
 */
export function createMultiBufferHmac(
  lib: MultiBuffer,
  keys: KeyMemory,
  lanes: HashLanes,
  { name, key, single }: { name: string; key: Uint8Array; single: Mac },
): Mac | undefined {
  const kind = HASHES.get(name);
  if (kind === undefined) return undefined;
  const mac = new MultiBufferHmac(lib, kind, keys, lanes, single);
  mac.setKey(key);
  return mac;
}
