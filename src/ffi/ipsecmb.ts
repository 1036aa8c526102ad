/**
 * libipsec-mb (Intel Multi-Buffer Crypto for IPsec), found at run time. It works on many packets at once, one per lane
 * of a vector register. Used here: its synchronous bursts, which take an array of jobs of ours and return when all are
 * done; nothing is left in the library between two calls.
 *
 * The public interface is a header whose macros call through function pointers in a struct (IMB_MGR), so the offsets
 * below are as public as the names. They are the same in 1.3 (Debian 12) and 2.0 (Debian 13); the header promises
 * that new pointers are only appended. Only the size of a job differs, and the library is asked for it.
 */
import { readFileSync } from 'node:fs';
import koffi from 'koffi';
import type { LibraryHandle, TypeObject } from 'koffi';
import type { Arena } from '../packet/arena.ts';
import { NativeArena } from './memory.ts';

/** struct IMB_JOB: offsets of the fields used, in bytes. Pointers and lengths are 8 bytes, enumerations 4. */
export const JOB = {
  encryptionKeys: 0,
  decryptionKeys: 8,
  keyLength: 16,
  source: 24,
  /** Where the deciphered or enciphered text goes. */
  destination: 32,
  cipherLength: 48,
  hashLength: 64,
  iv: 72,
  ivLength: 80,
  tag: 88,
  tagLength: 96,
  innerState: 104,
  outerState: 112,
  cipherMode: 132,
  cipherDirection: 136,
  hashAlgorithm: 140,
  chainOrder: 144,
} as const;

export const CIPHER_MODE = { cbc: 1, none: 3 } as const;
export const CIPHER_DIRECTION = { encrypt: 1, decrypt: 2 } as const;
export const CHAIN_ORDER = { cipherThenHash: 1, hashThenCipher: 2 } as const;
/** IMB_AUTH_HMAC_SHA_1 and so on; 8 stands for no hash. */
export const HASH_NONE = 8;

/** struct IMB_MGR: offsets of the fields used, in bytes. */
const MANAGER = {
  keyExpansion: { 16: 112, 24: 120, 32: 128 },
  oneBlock: { SHA1: 160, SHA224: 168, SHA256: 176, SHA384: 184, SHA512: 192 },
  getNextBurst: 952,
  cipherBurst: 984,
  hashBurst: 1000,
} as const;

export type HashName = keyof typeof MANAGER.oneBlock;
export type AesKeySize = keyof typeof MANAGER.keyExpansion;

const LIBRARIES = ['libIPSec_MB.so.2', 'libIPSec_MB.so.1'];
const OLDEST_VERSION = 0x10300;
/** The first version of which nothing is known. */
const END_VERSION = 0x30000;

/** Bits of imb_get_feature_flags(). */
const FEATURE_SHANI = 1n << 0n;
/** F, DQ, CD, BW and VL together: what the library asks for before it uses AVX512. */
const FEATURE_AVX512 = 0x1fn << 7n;

const JOB_SIZE_MIN = 200;
const JOB_SIZE_MAX = 512;

/** One instance of the library's machinery, for one thread. Functions take machine addresses. */
export interface Manager {
  /** Runs `count` jobs (1 to 128) from the table at `jobs`; returns how many succeeded. Data path. */
  readonly cipherBurst: (
    jobs: number,
    count: number,
    mode: number,
    direction: number,
    keySize: number,
  ) => number;
  /** The same for hashes. Data path. */
  readonly hashBurst: (jobs: number, count: number, algorithm: number) => number;
  /** Expands the AES key at `key` to two schedules of 240 bytes, aligned to 16. */
  readonly expandKey: (size: AesKeySize, key: number, encryption: number, decryption: number) => void;
  /** Writes the state of the hash after one block of 64 (SHA-384, SHA-512: 128) bytes at `data`. */
  readonly hashOneBlock: (hash: HashName, data: number, state: number) => void;
}

export interface IpsecMb {
  /** For example `1.3.0`. */
  readonly version: string;
  /** sizeof(IMB_JOB). */
  readonly jobSize: number;
  /** The widest vectors of this CPU: best when there are many packets. */
  readonly wide: Manager;
  /** Two packets at a time by SHA-NI: best when there are few. Undefined when `wide` does that anyway. */
  readonly narrow: Manager | undefined;
}

type Library = LibraryHandle;

function openLibrary(): Library | undefined {
  if (process.arch !== 'x64') return undefined;
  for (const name of LIBRARIES) {
    try {
      return koffi.load(name);
    } catch {
      // Not installed, or installed under the other name.
    }
  }
  return undefined;
}

function checkVersion(library: Library): string {
  const number = library.func('uint32_t imb_get_version(void)')() as number;
  const text = library.func('const char *imb_get_version_str(void)')() as string;
  if (number < OLDEST_VERSION || number >= END_VERSION)
    throw new Error(`libipsec-mb ${text} is not one of the versions known here (1.3 to 2.x)`);
  return text;
}

const burstType = koffi.proto('uint32_t get_next_burst(uintptr_t manager, uint32_t count, uintptr_t jobs)');
const cipherBurstType = koffi.proto(
  'uint32_t submit_cipher_burst(uintptr_t manager, uintptr_t jobs, uint32_t count, int mode, int direction, int key_size)',
);
const hashBurstType = koffi.proto(
  'uint32_t submit_hash_burst(uintptr_t manager, uintptr_t jobs, uint32_t count, int algorithm)',
);
const keyExpansionType = koffi.proto(
  'void key_expansion(uintptr_t key, uintptr_t encryption, uintptr_t decryption)',
);
const oneBlockType = koffi.proto('void one_block(uintptr_t data, uintptr_t state)');

/** Address ranges of the library's code in this process. */
function codeRanges(): readonly (readonly [bigint, bigint])[] {
  const lines = readFileSync('/proc/self/maps', 'latin1').split('\n');
  const code = /^([0-9a-f]+)-([0-9a-f]+) r-xp .*libIPSec_MB/;
  return lines.flatMap((line) => {
    const match = code.exec(line);
    return match === null ? [] : [[BigInt(`0x${match[1]}`), BigInt(`0x${match[2]}`)] as const];
  });
}

/** Reads functions out of an IMB_MGR. Throws when what is there is not code of the library: another layout. */
class FunctionTable {
  private readonly view: DataView;
  private readonly code = codeRanges();

  constructor(arena: Arena, manager: number) {
    this.view = new DataView(arena.bytes.buffer, arena.bytes.byteOffset + manager);
  }

  get(offset: number, type: TypeObject): (...args: number[]) => number {
    const address = this.view.getBigUint64(offset, true);
    if (!this.code.some(([start, end]) => address >= start && address < end))
      throw new Error('libipsec-mb has another layout than its version says');
    return koffi.decode(address, type) as (...args: number[]) => number;
  }
}

/** Asks the library for two jobs: they lie side by side. `pointers` is an offset with room for two pointers. */
function measureJobSize(table: FunctionTable, manager: number, arena: Arena, pointers: number): number {
  const given = table.get(MANAGER.getNextBurst, burstType)(manager, 2, arena.address + pointers);
  const view = new DataView(arena.bytes.buffer, arena.bytes.byteOffset + pointers);
  const size = Number(view.getBigUint64(8, true) - view.getBigUint64(0, true));
  if (given !== 2 || size < JOB_SIZE_MIN || size > JOB_SIZE_MAX || size % 8 !== 0)
    throw new Error('libipsec-mb has jobs of an unknown size');
  return size;
}

/** Makes managers in memory of ours, below 2 GiB, where their addresses are small integers. */
class ManagerFactory {
  private readonly library: Library;
  private readonly arena: Arena;
  private readonly size: number;

  constructor(library: Library) {
    this.library = library;
    this.size = Number(library.func('size_t imb_get_mb_mgr_size(void)')());
    this.arena = new NativeArena(2 * this.size + 512);
  }

  /** `initialize` is `init_mb_mgr_auto` or `init_mb_mgr_sse`. */
  create(initialize: string): { manager: Manager; jobSize: number } {
    const offset = this.arena.take(this.size);
    const address = this.arena.address + offset;
    this.prepare(address, initialize);
    const table = new FunctionTable(this.arena, offset);
    const jobSize = measureJobSize(table, address, this.arena, this.arena.take(16));
    const cipherBurst = table.get(MANAGER.cipherBurst, cipherBurstType);
    const hashBurst = table.get(MANAGER.hashBurst, hashBurstType);
    const manager: Manager = {
      cipherBurst: (jobs, count, mode, direction, keySize) =>
        cipherBurst(address, jobs, count, mode, direction, keySize),
      hashBurst: (jobs, count, algorithm) => hashBurst(address, jobs, count, algorithm),
      expandKey: (size, key, encryption, decryption) => {
        table.get(MANAGER.keyExpansion[size], keyExpansionType)(key, encryption, decryption);
      },
      hashOneBlock: (hash, data, state) => {
        table.get(MANAGER.oneBlock[hash], oneBlockType)(data, state);
      },
    };
    return { manager, jobSize };
  }

  private prepare(address: number, initialize: string): void {
    const { library } = this;
    const noFlags = 0;
    const reset = 1;
    library.func('uintptr_t imb_set_pointers_mb_mgr(uintptr_t memory, uint64_t flags, uint32_t reset)')(
      address,
      noFlags,
      reset,
    );
    // init_mb_mgr_auto has a second argument, which may be NULL; the others ignore it.
    library.func(`void ${initialize}(uintptr_t manager, uintptr_t architecture)`)(address, 0);
    const error = library.func('int imb_get_errno(uintptr_t manager)')(address) as number;
    if (error !== 0) throw new Error(`libipsec-mb does not start on this CPU (its error ${error})`);
  }
}

/** Without AVX512 the library uses SHA-NI by itself; with it, it hashes 16 packets at a time, or 8 for SHA-512. */
function hasWideAndNarrow(library: Library): boolean {
  const features = BigInt(library.func('uint64_t imb_get_feature_flags(void)')() as number | bigint);
  return (features & FEATURE_AVX512) === FEATURE_AVX512 && (features & FEATURE_SHANI) !== 0n;
}

/** Kept: koffi unloads a library whose handle is collected, and functions read out of a struct do not hold it. */
let opened: Library | undefined;
let loaded: IpsecMb | undefined;

/**
 * The library with its managers, one set per thread; undefined where it is not installed (it exists for x86-64 only).
 * Throws Error with the reason when it is there and cannot be used.
 */
export function loadIpsecMb(): IpsecMb | undefined {
  if (loaded !== undefined) return loaded;
  opened ??= openLibrary();
  if (opened === undefined) return undefined;
  const library = opened;
  const version = checkVersion(library);
  const managers = new ManagerFactory(library);
  const { manager: wide, jobSize } = managers.create('init_mb_mgr_auto');
  const narrow = hasWideAndNarrow(library) ? managers.create('init_mb_mgr_sse').manager : undefined;
  loaded = { version, jobSize, wide, narrow };
  return loaded;
}
