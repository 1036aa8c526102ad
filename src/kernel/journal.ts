/**
 * The undo journal: what tsvpn is about to change in the kernel, written down and on disk before it happens, so
 * that a process killed at any instruction leaves enough behind for the next one to clean up.
 *
 *     {"journal":1,"boot":"5c2f...","namespace":4026531840}                  where the changes were made
 *     {"change":{"kind":"mtu",...},"interfaceIndex":7,"before":1500}         one line per change
 *     {"change":{"kind":"device-routes",...},"interfaceIndex":7}             all our routes on our device, many or none
 *     {"takenBack":1}                                                        line 1 is no longer in the kernel
 *
 * A change is in the journal before it is in the kernel, never the other way round; undo therefore tolerates
 * changes that were never made. A torn last line is a change that was not made. While the owner lives it holds
 * flock(2) on the file, which is how cleanup tells a leftover from a running tunnel.
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { LOCK_EX, LOCK_NB } from '../ffi/constants.ts';
import { flock } from '../ffi/libc.ts';
import type { DeviceRoutes, KernelChange } from './change.ts';
import { bootId, networkNamespaceId } from './netns.ts';
import { removeOwn } from './remove-own.ts';

interface JournalHeader {
  /** Version of this format. */
  readonly journal: 1;
  readonly boot: string;
  /** Inode number of the network namespace. */
  readonly namespace: number;
}

export interface JournalEntry {
  readonly change: KernelChange | DeviceRoutes;
  /** Of the change's device; undefined for a route by gateway. Indexes are not reused when a device goes. */
  readonly interfaceIndex: number | undefined;
  /** The value an undo restores: MTU in bytes, queue length in packets, a setting's value, the origin of a rule. */
  readonly before: number | undefined;
  /** Of a sysctl: the value for all devices at that time. */
  readonly allBefore?: number;
  /** Of a displaced route the rtnetlink message that makes it again, of a link address the one before; hexadecimal. */
  readonly saved?: string;
}

/** Written after the change of that line was taken back at run time. */
interface JournalRemoval {
  /** Line number; the header is line 0. */
  readonly takenBack: number;
}

export type JournalLine = JournalHeader | JournalEntry | JournalRemoval;

/** An open, locked journal. */
export interface Journal {
  readonly path: string;
  /** Writes lines and returns the number of the first when they are on disk. */
  append(lines: readonly JournalLine[]): number;
  /** The changes are undone: removes the file. */
  remove(): void;
  /** Gives the lock back and leaves the file for a later cleanup. */
  close(): void;
}

/** Creates a journal for the current namespace. Throws EEXIST when there is one already. */
export function createJournal(path: string): Journal {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const journal = lockJournal(path, 'ax');
  if (journal === undefined) throw Object.assign(new Error(`${path} is locked`), { code: 'EEXIST' });
  journal.append([{ journal: 1, boot: bootId(), namespace: networkNamespaceId() }]);
  syncDirectory(dirname(path));
  return journal;
}

/** Opens and locks `path`; undefined while another process (or another journal of this one) has it. */
export function lockJournal(path: string, flags: 'ax' | 'a'): Journal | undefined {
  const fd = openSync(path, flags, 0o600);
  // The file may have been cleaned up between open and lock: then this fd is of a file nobody will find.
  const locked = flock(fd, LOCK_EX | LOCK_NB) === 0;
  if (!locked || statSync(path, { throwIfNoEntry: false })?.ino !== fstatSync(fd).ino) {
    closeSync(fd);
    return undefined;
  }
  let lineCount = 0;
  return {
    path,
    append: (lines) => {
      writeAll(fd, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
      fsyncSync(fd);
      lineCount += lines.length;
      return lineCount - lines.length;
    },
    remove: () => {
      // A process that has given up root's rights (`user`) may write what it may not remove: an empty journal says nothing.
      if (!removeOwn(path)) ftruncateSync(fd, 0);
      closeSync(fd);
    },
    close: () => closeSync(fd),
  };
}

/** `header` is undefined when not even the first line is whole: then nothing was changed. */
export interface JournalContent {
  readonly header: JournalHeader | undefined;
  readonly entries: readonly JournalEntry[];
  /** Lines, other than a torn last one, that are not of this format. */
  readonly damagedLines: number;
}

export function readJournal(path: string): JournalContent {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1).map(parseLine);
  const [first, ...rest] = lines;
  const header = first !== undefined && 'journal' in first && first.journal === 1 ? first : undefined;
  const takenBack = new Set(
    rest.map((line) => (line !== undefined && 'takenBack' in line ? line.takenBack : 0)),
  );
  const entries = rest.filter(
    (line, i): line is JournalEntry => line !== undefined && 'change' in line && !takenBack.has(i + 1),
  );
  const damagedLines = lines.filter(
    (line, i) => line === undefined || 'journal' in line !== (i === 0),
  ).length;
  return { header, entries, damagedLines };
}

function parseLine(line: string): JournalLine | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as JournalLine) : undefined;
  } catch {
    return undefined;
  }
}

function writeAll(fd: number, text: string): void {
  for (let rest = Buffer.from(text); rest.length > 0;) rest = rest.subarray(writeSync(fd, rest));
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  fsyncSync(fd);
  closeSync(fd);
}
