/**
 * The file of `replay-persist`: what a peer has sent up to now, so that a new process takes no packet that an earlier one has
 * taken. Its first 16 bytes are OpenVPN's, which uses the same file, and leaves the rest of ours alone:
 *
 *     0 epoch, Unix seconds (i64)  8 highest id in it (u32)  12 unused
 *    16 "tsvpnown"  24 count (u32)  28 epochs of our own packets (u32 each), which may be reflected at us
 *
 * All little endian. While a process uses it, it holds flock(2) on the file; a lock does not survive a rename, so the file is
 * written in place, by one write of less than a block, which a crash of the process does not tear.
 */
import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import type { Logger } from '../control/log.ts';
import { Counter, type Counters } from '../engine/counters.ts';
import type { ReplayMemory } from '../engine/messages.ts';
import { ExitCode, fileError, OperatorError } from '../errors.ts';
import { LOCK_EX, LOCK_NB } from '../ffi/constants.ts';
import { flock } from '../ffi/libc.ts';

const STOCK_SIZE = 16;
const MAGIC = Buffer.from('tsvpnown');
const EPOCHS_AT = STOCK_SIZE + MAGIC.length + 4;
/** Epochs of our own that are remembered; each restart of the connection uses one. */
const MOST_EPOCHS = 256;
const MAX_SIZE = EPOCHS_AT + 4 * MOST_EPOCHS;

/** Our own epoch is looked at so often, and the file written every SAVE_EVERY looks when something has changed. */
const LOOK_MS = 1000;
const SAVE_EVERY = 60;

const NOTHING: ReplayMemory = { epoch: 0, top: 0, ownEpochs: [] };

export class ReplayFile {
  /** What an earlier process has left. */
  readonly memory: ReplayMemory;
  private readonly path: string;
  private readonly counters: Counters;
  private readonly log: Logger;
  private readonly timer: NodeJS.Timeout;
  private readonly ownEpochs: Set<number>;
  private fd: number | undefined;
  private written = '';
  private looks = 0;

  /** Throws OperatorError when the file cannot be used, or another process does. */
  constructor(path: string, counters: Counters, log: Logger) {
    this.path = path;
    this.counters = counters;
    this.log = log;
    this.fd = openLocked(path);
    this.memory = readMemory(this.fd);
    this.ownEpochs = new Set(this.memory.ownEpochs);
    this.timer = setInterval(() => this.look(), LOOK_MS);
    this.timer.unref();
  }

  /** Writes what has changed. A failure is logged: a full disk does not stop a tunnel. */
  save(): void {
    if (this.fd === undefined) return;
    this.remember();
    const bytes = encodeMemory(this.current());
    const text = bytes.toString('hex');
    if (text === this.written) return;
    try {
      writeSync(this.fd, bytes, 0, bytes.length, 0);
      fsyncSync(this.fd);
      this.written = text;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      this.log.warn({ code }, `cannot write the replay-persist file ${this.path}: ${message}`);
    }
  }

  /** Writes for the last time and gives the file to others. Idempotent. */
  close(): void {
    clearInterval(this.timer);
    this.save();
    if (this.fd !== undefined) closeSync(this.fd);
    this.fd = undefined;
  }

  private look(): void {
    this.remember();
    this.looks++;
    if (this.looks % SAVE_EVERY === 0) this.save();
  }

  private remember(): void {
    const epoch = this.counters.get(Counter.OwnEpoch);
    if (epoch > 0) this.ownEpochs.add(epoch);
  }

  /** An epoch that the peer is in as well cannot be told to be ours when what was sent in it is forgotten. */
  private current(): ReplayMemory {
    const heard = this.counters.get(Counter.ReplayTop) > 0;
    const epoch = heard ? this.counters.get(Counter.ReplayEpoch) : this.memory.epoch;
    const top = heard ? this.counters.get(Counter.ReplayTop) : this.memory.top;
    const own = [...this.ownEpochs].filter((each) => each !== epoch).sort((a, b) => a - b);
    return { epoch, top, ownEpochs: own.slice(-MOST_EPOCHS) };
  }
}

function openLocked(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, 'a+', 0o600);
    closeSync(fd);
    fd = openSync(path, 'r+');
  } catch (cause) {
    throw fileError('replay-persist', path, cause);
  }
  if (flock(fd, LOCK_EX | LOCK_NB) === 0) return fd;
  closeSync(fd);
  throw new OperatorError({
    code: 'REPLAY_FILE_BUSY',
    what: `the replay-persist file ${path} is in use`,
    why: 'another process, or another peer, keeps its replay window there',
    fix: 'give each peer a file of its own',
    directives: ['replay-persist'],
    exitCode: ExitCode.Busy,
  });
}

/** A file that is new, or of another machine, tells nothing. */
function readMemory(fd: number): ReplayMemory {
  const bytes = Buffer.alloc(MAX_SIZE);
  const length = readSync(fd, bytes, 0, bytes.length, 0);
  return decodeMemory(bytes.subarray(0, length));
}

export function decodeMemory(bytes: Buffer): ReplayMemory {
  if (bytes.length < STOCK_SIZE) return NOTHING;
  const epoch = Number(bytes.readBigInt64LE(0));
  const top = bytes.readUInt32LE(8);
  const valid = epoch >= 0 && epoch <= 0xffffffff;
  const ownEpochs = decodeEpochs(bytes.subarray(STOCK_SIZE)).filter((each) => each !== epoch);
  return valid ? { epoch, top, ownEpochs } : { ...NOTHING, ownEpochs };
}

function decodeEpochs(bytes: Buffer): number[] {
  if (bytes.length < MAGIC.length + 4 || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return [];
  const fitting = Math.floor((bytes.length - MAGIC.length - 4) / 4);
  const count = Math.min(bytes.readUInt32LE(MAGIC.length), fitting, MOST_EPOCHS);
  const epochs = Array.from({ length: count }, (_, i) => bytes.readUInt32LE(MAGIC.length + 4 + 4 * i));
  return epochs.sort((a, b) => a - b);
}

export function encodeMemory({ epoch, top, ownEpochs }: ReplayMemory): Buffer {
  const bytes = Buffer.alloc(EPOCHS_AT + 4 * ownEpochs.length);
  bytes.writeBigInt64LE(BigInt(epoch), 0);
  bytes.writeUInt32LE(top, 8);
  MAGIC.copy(bytes, STOCK_SIZE);
  bytes.writeUInt32LE(ownEpochs.length, STOCK_SIZE + MAGIC.length);
  ownEpochs.forEach((each, i) => bytes.writeUInt32LE(each, EPOCHS_AT + 4 * i));
  return bytes;
}
