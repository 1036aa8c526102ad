/** Fragments for tests: a batch that payloads are cut into, and a receiver that takes them one by one. */
import { Annex } from '../../src/packet/annex.ts';
import { HeapArena } from '../../src/packet/arena.ts';
import { Batch } from '../../src/packet/batch.ts';
import { RowPool } from '../../src/packet/row-pool.ts';
import { PASS, type Verdict } from '../../src/packet/verdict.ts';
import type { Fragmenter } from '../../src/protocol/fragmentation.ts';
import { Reassembler } from '../../src/protocol/reassembly.ts';
import { contents, fill } from './slot.ts';

const SLOTS = 40;

/** Cuts payloads into as many rounds as batches of `slots` need. */
export class Cutter {
  private readonly from: Batch;
  private readonly to: Batch;

  constructor(slots = SLOTS) {
    const arena = new HeapArena(Batch.arenaSize({ slots: 1 }) + Batch.arenaSize({ slots }));
    this.from = new Batch(arena, { slots: 1 });
    this.to = new Batch(arena, { slots });
  }

  cut(fragmenter: Fragmenter, payload: Uint8Array): Buffer[] {
    const { from, to } = this;
    fill(from, payload);
    const count = fragmenter.count(payload.length);
    const fragments: Buffer[] = [];
    for (let next = 0; next < count;) {
      to.count = 0;
      next = fragmenter.split(from, 0, next, to);
      for (let slot = 0; slot < to.count; slot++) {
        const start = to.start[slot];
        fragments.push(Buffer.from(to.bytes.slice(start, start + to.length[slot])));
      }
    }
    return fragments;
  }
}

export interface ReceiverOptions {
  readonly rows?: number;
  readonly capacity?: number;
}

export class Receiver {
  readonly pool: RowPool;
  readonly reassembler: Reassembler;
  /** Payloads that became whole, in that order. */
  readonly whole: Buffer[] = [];
  nowMs = 1000;
  private readonly rows: number;
  private readonly batch: Batch;
  private readonly annex: Annex;

  constructor({ rows = 64, capacity = 2048 }: ReceiverOptions = {}) {
    const pool = { rows, capacity };
    const beside = { rows: 1, capacity };
    const size = RowPool.arenaSize(pool) + Annex.arenaSize(beside) + Batch.arenaSize({ slots: 1 });
    const arena = new HeapArena(size);
    arena.bytes.fill(UNWRITTEN);
    this.rows = rows;
    this.pool = new RowPool(arena, pool);
    this.annex = new Annex(arena, beside);
    this.batch = new Batch(arena, { slots: 1 });
    this.reassembler = new Reassembler(this.pool);
  }

  receive(fragment: Uint8Array): Verdict {
    fill(this.batch, fragment);
    this.annex.clear();
    const verdict = this.reassembler.receive(this.batch, 0, this.annex, this.nowMs);
    if (verdict === PASS) this.whole.push(contents(this.batch));
    return verdict;
  }

  /** Rows that payloads in the making hold. */
  get held(): number {
    return this.rows - this.pool.free;
  }
}

/** What memory holds that no fragment has been written to. */
export const UNWRITTEN = 0xee;
