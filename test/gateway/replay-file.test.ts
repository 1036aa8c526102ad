import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Counter, Counters } from '../../src/engine/counters.ts';
import { OperatorError } from '../../src/errors.ts';
import { decodeMemory, encodeMemory, ReplayFile } from '../../src/gateway/replay-file.ts';
import { tempDir } from '../support/temp-dir.ts';
import { testLog } from '../support/log.ts';

const log = testLog();
const EPOCH = 1_795_329_920;

/** Counters of a peer heard in `epoch` up to `top`, our own epoch being `own`. */
function countersOf(epoch: number, top: number, own: number): Counters {
  const counters = new Counters(Counters.allocate());
  counters.set(Counter.ReplayEpoch, epoch);
  counters.set(Counter.ReplayTop, top);
  counters.set(Counter.OwnEpoch, own);
  return counters;
}

describe('the file of replay-persist', () => {
  it('reads what OpenVPN 2.6.14 has written, whatever is in the last four bytes', () => {
    const stock = Buffer.from('7e8f026b0000000004000000ff7f0000', 'hex');
    expect(decodeMemory(stock)).toEqual({ epoch: 0x6b028f7e, top: 4, ownEpochs: [] });
  });

  it('is what OpenVPN reads in its first 16 bytes, which it alone rewrites', () => {
    const ours = encodeMemory({ epoch: 0x6b028f7e, top: 4, ownEpochs: [5, 6] });
    expect(ours.subarray(0, 12).toString('hex')).toBe('7e8f026b0000000004000000');
    Buffer.from('7f8f026b0000000009000000ff7f0000', 'hex').copy(ours);
    expect(decodeMemory(ours)).toEqual({ epoch: 0x6b028f7f, top: 9, ownEpochs: [5, 6] });
  });

  it.each([
    ['an empty file', ''],
    ['a torn one', '7e8f026b'],
    ['an epoch beyond all time', 'ffffffffffffff7f0400000000000000'],
    ['a count beyond the end', `${'00'.repeat(16)}${Buffer.from('tsvpnown').toString('hex')}ffffffff`],
  ])('says nothing when it is %s', (_, hex) => {
    expect(decodeMemory(Buffer.from(hex, 'hex'))).toEqual({ epoch: 0, top: 0, ownEpochs: [] });
  });

  it('is kept from one process to the next, and adds up our own epochs but for one the peer is in', () => {
    const path = join(tempDir(), 'replay');
    const first = new ReplayFile(path, countersOf(EPOCH, 7, EPOCH + 1), log);
    expect(first.memory).toEqual({ epoch: 0, top: 0, ownEpochs: [] });
    first.close();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const second = new ReplayFile(path, countersOf(EPOCH + 2, 3, EPOCH + 2), log);
    expect(second.memory).toEqual({ epoch: EPOCH, top: 7, ownEpochs: [EPOCH + 1] });
    second.close();
    const third = new ReplayFile(path, countersOf(0, 0, EPOCH + 9), log);
    expect(third.memory).toEqual({ epoch: EPOCH + 2, top: 3, ownEpochs: [EPOCH + 1] });
    third.close();
    expect(decodeMemory(readFileSync(path))).toEqual({
      epoch: EPOCH + 2,
      top: 3,
      ownEpochs: [EPOCH + 1, EPOCH + 9],
    });
  });

  it('is of one peer at a time', () => {
    const path = join(tempDir(), 'replay');
    const first = new ReplayFile(path, countersOf(0, 0, 0), log);
    expect(() => new ReplayFile(path, countersOf(0, 0, 0), log)).toThrow(
      expect.objectContaining({ code: 'REPLAY_FILE_BUSY', exitCode: 5 }) as OperatorError,
    );
    first.close();
  });

  it('must be writable', () => {
    const directory = tempDir();
    writeFileSync(join(directory, 'file'), '');
    expect(() => new ReplayFile(join(directory, 'file', 'x'), countersOf(0, 0, 0), log)).toThrow(
      OperatorError,
    );
  });
});
