/**
 * The fastest provider where the library is installed: AES-CBC and HMAC by libipsec-mb, a burst of packets at a time.
 * Bursts are synchronous and separate for cipher and hash: opening compares every HMAC before anything is decrypted,
 * and the library's combined jobs are no faster (docs/adr/0011).
 */
import { CHAIN_ORDER, CIPHER_DIRECTION, CIPHER_MODE, HASH_NONE, JOB, loadIpsecMb } from '../ffi/ipsecmb.ts';
import type { AesKeySize, HashName, IpsecMb, Manager } from '../ffi/ipsecmb.ts';
import { addressIn, NativeArena } from '../ffi/memory.ts';
import type { Arena } from '../packet/arena.ts';
import { createOpener, createSealer, MAX_BURST, TAGS_SIZE } from './codec.ts';
import type { BlockCipher, Mac, Primitives } from './codec.ts';
import { KeyMemory } from './key-memory.ts';
import type { KeyRow } from './key-memory.ts';
import { ProviderAbsent } from './provider.ts';
import type { CryptoProvider, DirectionKeys, Suite } from './provider.ts';

const KEY_SIZES: ReadonlyMap<string, AesKeySize> = new Map([
  ['AES-128-CBC', 16],
  ['AES-192-CBC', 24],
  ['AES-256-CBC', 32],
]);

interface HashKind {
  readonly name: HashName;
  /** IMB_HASH_ALG of the HMAC. */
  readonly algorithm: number;
  readonly blockSize: number;
  readonly tagSize: number;
  /**
   * From this many packets on, 16 at a time with AVX512 are faster than two at a time with SHA-NI (docs/adr/0011). 1 for
   * hashes that SHA-NI does not have.
   */
  readonly wideFrom: number;
}

const HASHES: readonly HashKind[] = [
  { name: 'SHA1', algorithm: 1, blockSize: 64, tagSize: 20, wideFrom: 6 },
  { name: 'SHA224', algorithm: 2, blockSize: 64, tagSize: 28, wideFrom: 10 },
  { name: 'SHA256', algorithm: 3, blockSize: 64, tagSize: 32, wideFrom: 10 },
  { name: 'SHA384', algorithm: 4, blockSize: 128, tagSize: 48, wideFrom: 1 },
  { name: 'SHA512', algorithm: 5, blockSize: 128, tagSize: 64, wideFrom: 1 },
];

/** With AVX512 this many packets are hashed at a time, whether there are as many or not. */
const WIDE_LANES = 16;

/** Offsets in a row of key memory. */
const KEY = { encryption: 0, decryption: 256, innerState: 0, outerState: 64, block: 256 } as const;

// Fields of a job as indexes of 32-bit words. Pointers lie below 2 GiB: their upper halves stay zero.
const ENCRYPTION_KEYS = JOB.encryptionKeys / 4;
const DECRYPTION_KEYS = JOB.decryptionKeys / 4;
const KEY_LENGTH = JOB.keyLength / 4;
const SOURCE = JOB.source / 4;
const DESTINATION = JOB.destination / 4;
const CIPHER_LENGTH = JOB.cipherLength / 4;
const HASH_LENGTH = JOB.hashLength / 4;
const IV = JOB.iv / 4;
const TAG = JOB.tag / 4;
const TAG_LENGTH = JOB.tagLength / 4;
const INNER_STATE = JOB.innerState / 4;
const OUTER_STATE = JOB.outerState / 4;
const DIRECTION = JOB.cipherDirection / 4;
const HASH_ALGORITHM = JOB.hashAlgorithm / 4;

const IV_SIZE = 16;

/** An array of jobs in native memory; all directions of a provider share one per kind of work. */
class JobTable {
  readonly words: Int32Array;
  /** Machine address of the first job. */
  readonly address: number;
  /** Bytes from one job to the next. */
  readonly jobSize: number;
  private readonly first: number;
  private queued = 0;

  /** `constants` are 32-bit fields that every job has alike: offset in bytes, value. */
  constructor(arena: Arena, jobSize: number, constants: readonly (readonly [number, number])[]) {
    const offset = arena.take(MAX_BURST * jobSize);
    this.words = new Int32Array(arena.bytes.buffer, arena.bytes.byteOffset, arena.bytes.length / 4);
    this.address = arena.address + offset;
    this.jobSize = jobSize;
    this.first = offset / 4;
    for (let job = 0; job < MAX_BURST; job++)
      for (const [field, value] of constants) this.words[(offset + job * jobSize + field) / 4] = value;
  }

  /** The next job to fill in: index of its first word. */
  next(): number {
    return this.first + (this.queued++ * this.jobSize) / 4;
  }

  /** How many jobs were filled in; starts over. */
  take(): number {
    const { queued } = this;
    this.queued = 0;
    return queued;
  }
}

/** What the directions of one provider share. */
interface Shared {
  readonly library: IpsecMb;
  readonly keys: KeyMemory;
  readonly tags: Arena;
  readonly cipherJobs: JobTable;
  readonly hashJobs: JobTable;
}

function createShared(library: IpsecMb): Shared {
  const { jobSize } = library;
  const arena = new NativeArena(2 * MAX_BURST * jobSize + 128);
  return {
    library,
    keys: new KeyMemory(),
    tags: new NativeArena(TAGS_SIZE),
    cipherJobs: new JobTable(arena, jobSize, [
      [JOB.ivLength, IV_SIZE],
      [JOB.cipherMode, CIPHER_MODE.cbc],
      [JOB.hashAlgorithm, HASH_NONE],
      [JOB.chainOrder, CHAIN_ORDER.cipherThenHash],
    ]),
    hashJobs: new JobTable(arena, jobSize, [
      [JOB.cipherMode, CIPHER_MODE.none],
      [JOB.cipherDirection, CIPHER_DIRECTION.encrypt],
      [JOB.chainOrder, CHAIN_ORDER.hashThenCipher],
    ]),
  };
}

/** The library checks every job; one it refuses is a malfunction of the process, not of a packet. */
function ensureAll(done: number, count: number): void {
  if (done !== count) throw new Error(`libipsec-mb did ${done} of ${count} jobs`);
}

function createCipher(shared: Shared, keySize: AesKeySize, key: Uint8Array, direction: number): BlockCipher {
  const { cipherJobs: jobs, keys } = shared;
  const { words } = jobs;
  const { wide } = shared.library;
  const row = keys.take();
  const encryption = row.address + KEY.encryption;
  const decryption = row.address + KEY.decryption;
  const raw = keys.take();
  raw.arena.bytes.set(key, raw.offset);
  wide.expandKey(keySize, raw.address, encryption, decryption);
  keys.giveBack(raw);
  return {
    add(arena, offset, length) {
      const text = addressIn(arena, offset);
      const job = jobs.next();
      words[job + ENCRYPTION_KEYS] = encryption;
      words[job + DECRYPTION_KEYS] = decryption;
      words[job + KEY_LENGTH] = keySize;
      words[job + SOURCE] = text;
      words[job + DESTINATION] = text;
      words[job + CIPHER_LENGTH] = length;
      words[job + IV] = text - IV_SIZE;
      words[job + DIRECTION] = direction;
    },
    run() {
      const count = jobs.take();
      if (count === 0) return;
      ensureAll(wide.cipherBurst(jobs.address, count, CIPHER_MODE.cbc, direction, keySize), count);
    },
    dispose() {
      keys.giveBack(row);
    },
  };
}

/** RFC 2104: the states of the inner and the outer hash after the block that holds the key. */
function hashKey(manager: Manager, hash: HashKind, key: Uint8Array, keys: KeyMemory): KeyRow {
  const row = keys.take();
  const { arena } = row;
  const block = row.offset + KEY.block;
  for (const [pad, state] of [
    [0x36, KEY.innerState],
    [0x5c, KEY.outerState],
  ] as const) {
    arena.bytes.fill(pad, block, block + hash.blockSize);
    key.forEach((byte, i) => (arena.bytes[block + i] = byte ^ pad));
    manager.hashOneBlock(hash.name, addressIn(arena, block), row.address + state);
  }
  arena.bytes.fill(0, block, block + hash.blockSize);
  return row;
}

function createMac(shared: Shared, hash: HashKind, key: Uint8Array): Mac {
  const { hashJobs: jobs, keys } = shared;
  const { words } = jobs;
  const { wide, narrow } = shared.library;
  const row = hashKey(wide, hash, key, keys);
  const innerState = row.address + KEY.innerState;
  const outerState = row.address + KEY.outerState;
  const { algorithm, tagSize, wideFrom } = hash;
  return {
    add(arena, offset, length, out, tag) {
      const data = addressIn(arena, offset);
      const job = jobs.next();
      words[job + SOURCE] = data;
      words[job + HASH_LENGTH] = length;
      words[job + TAG] = addressIn(out, tag);
      words[job + TAG_LENGTH] = tagSize;
      words[job + INNER_STATE] = innerState;
      words[job + OUTER_STATE] = outerState;
      words[job + HASH_ALGORITHM] = algorithm;
    },
    run() {
      const count = jobs.take();
      const rest = count % WIDE_LANES;
      const left = narrow !== undefined && rest < wideFrom ? rest : 0;
      const many = count - left;
      if (many > 0) ensureAll(wide.hashBurst(jobs.address, many, algorithm), many);
      if (narrow !== undefined && left > 0)
        ensureAll(narrow.hashBurst(jobs.address + many * jobs.jobSize, left, algorithm), left);
    },
    dispose() {
      keys.giveBack(row);
    },
  };
}

function hashOf(name: string): HashKind | undefined {
  return HASHES.find((hash) => hash.name === name);
}

function supports({ cipher, digest }: Suite): boolean {
  const knowsCipher = cipher.name === 'none' || KEY_SIZES.has(cipher.name);
  return knowsCipher && (digest.name === 'none' || hashOf(digest.name) !== undefined);
}

/** Throws ProviderAbsent where the library is not installed, Error where it is of no use. */
export function createIpsecMbProvider(): CryptoProvider {
  const library = loadIpsecMb();
  if (library === undefined)
    throw new ProviderAbsent(
      'libipsec-mb is not installed (Debian: libipsec-mb1 or libipsec-mb2, x86-64 only)',
    );
  const shared = createShared(library);

  const createPrimitives = (suite: Suite, keys: DirectionKeys, direction: number): Primitives => {
    if (!supports(suite))
      throw new Error(`libipsec-mb has no ${suite.cipher.name} with ${suite.digest.name}`);
    const keySize = KEY_SIZES.get(suite.cipher.name);
    const hash = hashOf(suite.digest.name);
    return {
      cipher: keySize && createCipher(shared, keySize, keys.cipher, direction),
      mac: hash && createMac(shared, hash, keys.hmac),
      tags: shared.tags,
    };
  };

  return {
    name: 'ipsecmb',
    description: `libipsec-mb ${library.version}`,
    supports,
    createSealer: (suite, keys, random) =>
      createSealer(suite, createPrimitives(suite, keys, CIPHER_DIRECTION.encrypt), random),
    createOpener: (suite, keys) =>
      createOpener(suite, createPrimitives(suite, keys, CIPHER_DIRECTION.decrypt)),
    dispose() {},
  };
}
