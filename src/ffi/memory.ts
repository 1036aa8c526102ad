/**
 * Memory that JavaScript and native code share. It is mapped below 2 GiB, so that every address in it is a V8
 * small integer: an address costs nothing to compute, to pass to a native call, and one 32-bit store to write
 * into an iovec (the upper half is always zero).
 */
import koffi from 'koffi';
import { Arena } from '../packet/arena.ts';
import { check, OsError } from './libc.ts';

const PROT_READ_WRITE = 0x1 | 0x2;
const MAP_PRIVATE_ANONYMOUS = 0x02 | 0x20;
/** Linux 4.17: map exactly here or fail with EEXIST, never on top of something else. */
const MAP_FIXED_NOREPLACE = 0x100000;
const EEXIST = 17;

const LOWEST_ADDRESS = 0x1000_0000;
const HIGHEST_ADDRESS = 0x7000_0000;
const SEARCH_STEP = 0x10_0000;
const PAGE_SIZE = 65536;

const process_ = koffi.load(null);
const mmap = process_.func(
  'intptr_t mmap(uintptr_t address, size_t length, int protection, int flags, int fd, int64_t offset)',
) as unknown as (
  address: number,
  length: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
) => number;

/** Where the next search starts: behind the arena mapped last. */
let searchFrom = LOWEST_ADDRESS;

/** Maps `length` bytes at the first free step from `from` on that ends below `limit`. */
function mapBetween(from: number, limit: number, length: number): number | undefined {
  for (let hint = from; hint + length <= limit; hint += SEARCH_STEP) {
    const address = Number(
      mmap(hint, length, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
    );
    if (address === hint) return address;
    if (address === -1 && koffi.errno() !== EEXIST) check('mmap', -1);
  }
  return undefined;
}

function mapLow(length: number): number {
  const address =
    mapBetween(searchFrom, HIGHEST_ADDRESS, length) ?? mapBetween(LOWEST_ADDRESS, HIGHEST_ADDRESS, length);
  if (address === undefined) throw new OsError('mmap', 12);
  searchFrom = address + length;
  return address;
}

/** An arena for native calls; lives as long as the process. */
export class NativeArena extends Arena {
  /** Maps `size` bytes of zeroed memory. Throws OsError(ENOMEM) when no room is left below 2 GiB. */
  constructor(size: number) {
    const length = Math.ceil(size / PAGE_SIZE) * PAGE_SIZE;
    const address = mapLow(length);
    super(new Uint8Array(koffi.view(BigInt(address), length)), address);
  }
}

/** Machine address of a byte. Throws Error for memory that native code cannot reach: a mistake of the program. */
export function addressIn(arena: Arena, offset: number): number {
  if (arena.address === 0) throw new Error('the batch does not lie in a native arena');
  return arena.address + offset;
}
