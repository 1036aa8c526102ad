import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cleanup } from '../../src/kernel/cleanup.ts';
import { createJournal, readJournal, type JournalEntry } from '../../src/kernel/journal.ts';
import { bootId, networkNamespaceId } from '../../src/kernel/netns.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'tsvpn-journal-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const entry: JournalEntry = {
  change: { kind: 'mtu', device: 'tun-gone', mtu: 1400 },
  interfaceIndex: 2_000_000_000,
  before: 1500,
};

function leaveJournal(...lines: readonly object[]): string {
  const path = join(folder, 'office.journal');
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return path;
}

const here = () => ({ journal: 1, boot: bootId(), namespace: networkNamespaceId() });

describe('journal', () => {
  it('is private and names its boot and its network namespace', () => {
    const path = join(folder, 'new', 'office.journal');
    const journal = createJournal(path);
    journal.append([entry]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readJournal(path)).toEqual({ header: here(), entries: [entry], damagedLines: 0 });
    journal.remove();
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  it('is never taken over: an existing one is refused', () => {
    const path = leaveJournal(here());
    expect(() => createJournal(path)).toThrow(/EEXIST/);
  });

  it('loses only the last entry when its line is torn, wherever it is torn', () => {
    const path = leaveJournal(here(), entry, entry);
    const size = statSync(path).size;
    const lastLine = Buffer.byteLength(`${JSON.stringify(entry)}\n`);
    for (let cut = 1; cut <= lastLine; cut++) {
      truncateSync(path, size - cut);
      expect(readJournal(path)).toEqual({ header: here(), entries: [entry], damagedLines: 0 });
    }
  });
});

describe('cleanup', () => {
  it('reports nothing when there is no journal, or no directory for one', () => {
    expect(cleanup(folder)).toEqual({ journals: [] });
    expect(cleanup(join(folder, 'absent'))).toEqual({ journals: [] });
  });

  it('leaves a running tunnel alone', () => {
    const journal = createJournal(join(folder, 'office.journal'));
    journal.append([entry]);
    expect(cleanup(folder)).toEqual({ journals: [{ name: 'office', outcome: 'running' }] });
    journal.remove();
  });

  it('counts what vanished with the device as gone and removes the journal', () => {
    const path = leaveJournal(here(), entry);
    expect(cleanup(folder)).toEqual({
      journals: [
        {
          name: 'office',
          outcome: 'undone',
          undo: { undone: [], gone: ['ip link set dev tun-gone mtu 1500'], failed: [] },
        },
      ],
    });
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  it('touches only the tunnel it is asked for', () => {
    leaveJournal(here(), entry);
    expect(cleanup(folder, 'home')).toEqual({ journals: [] });
    expect(cleanup(folder, 'office').journals).toHaveLength(1);
  });

  it('drops a journal of another boot, whose changes went with it', () => {
    leaveJournal({ ...here(), boot: 'another' }, entry);
    expect(cleanup(folder)).toEqual({ journals: [{ name: 'office', outcome: 'stale' }] });
    expect(cleanup(folder)).toEqual({ journals: [] });
  });

  it('drops a journal of a network namespace that is gone', () => {
    leaveJournal({ ...here(), namespace: 1 }, entry);
    expect(cleanup(folder)).toEqual({ journals: [{ name: 'office', outcome: 'stale' }] });
  });

  it('drops a journal whose first line is torn: nothing had been changed', () => {
    const path = leaveJournal();
    writeFileSync(path, '{"journal":1,"bo');
    expect(cleanup(folder)).toEqual({ journals: [{ name: 'office', outcome: 'undone' }] });
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  it('undoes what it can read of a damaged journal and keeps the file', () => {
    const path = leaveJournal(here(), entry);
    writeFileSync(path, 'rubbish\n', { flag: 'a' });
    writeFileSync(path, `${JSON.stringify(entry)}\n`, { flag: 'a' });
    const [report] = cleanup(folder).journals;
    expect(report.outcome).toBe('damaged');
    expect(report.undo?.gone).toHaveLength(2);
    expect(readFileSync(`${path}.damaged`, 'utf8')).toContain('rubbish');
    expect(cleanup(folder)).toEqual({ journals: [] });
  });

  it('keeps a file that is no journal at all', () => {
    const path = leaveJournal();
    writeFileSync(path, 'rubbish\nmore\n');
    expect(cleanup(folder)).toEqual({ journals: [{ name: 'office', outcome: 'damaged' }] });
    expect(readFileSync(`${path}.damaged`, 'utf8')).toBe('rubbish\nmore\n');
  });
});
