/**
 * Native memory for keys in the form a library wants them: expanded, or hashed into HMAC states. Rows of one size, erased
 * when they are given back.
 */
import { NativeArena } from '../ffi/memory.ts';
import type { Arena } from '../packet/arena.ts';

/** Bytes of a row: two AES key schedules (2 x 256) and an inner and an outer HMAC state, with room to compute them. */
const KEY_ROW_SIZE = 1024;
const ROWS_PER_ARENA = 64;

export interface KeyRow {
  readonly arena: Arena;
  /** Offset in the arena, aligned to a cache line. */
  readonly offset: number;
  /** The same as a machine address. */
  readonly address: number;
}

export class KeyMemory {
  private readonly free: KeyRow[] = [];

  /** A row of KEY_ROW_SIZE zeros. */
  take(): KeyRow {
    if (this.free.length === 0) this.grow();
    const row = this.free.pop();
    if (row === undefined) throw new Error('no memory for keys');
    return row;
  }

  /** Erases the row; nobody may use it afterwards. */
  giveBack(row: KeyRow): void {
    row.arena.bytes.fill(0, row.offset, row.offset + KEY_ROW_SIZE);
    this.free.push(row);
  }

  private grow(): void {
    const arena = new NativeArena(ROWS_PER_ARENA * KEY_ROW_SIZE);
    for (let i = 0; i < ROWS_PER_ARENA; i++) {
      const offset = arena.take(KEY_ROW_SIZE);
      this.free.push({ arena, offset, address: arena.address + offset });
    }
  }
}
