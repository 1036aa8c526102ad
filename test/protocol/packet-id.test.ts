import { describe, expect, test } from 'vitest';
import { PACKET_ID_SIZE, PacketIdSender, readEpoch, readPacketId } from '../../src/protocol/packet-id.ts';

const bytes = new Uint8Array(16);

/** The id and epoch of the next packet, or undefined when there is none. */
function next(sender: PacketIdSender, nowSec: number): [id: number, epoch: number] | undefined {
  return sender.write(bytes, 3, nowSec) ? [readPacketId(bytes, 3), readEpoch(bytes, 3)] : undefined;
}

/** A sender that has used the highest id in `epoch`. */
function exhausted(epoch: number): PacketIdSender {
  const sender = new PacketIdSender();
  sender.write(bytes, 0, epoch);
  Object.assign(sender, { lastId: 0xfffffffe });
  sender.write(bytes, 0, epoch);
  return sender;
}

describe('PacketIdSender', () => {
  test('counts from 1 and keeps the epoch of the first packet', () => {
    const sender = new PacketIdSender();
    expect([next(sender, 1000), next(sender, 1000), next(sender, 2000)]).toEqual([
      [1, 1000],
      [2, 1000],
      [3, 1000],
    ]);
    expect([sender.id, sender.epoch]).toEqual([3, 1000]);
  });

  test('writes id and epoch big endian, and nothing else', () => {
    bytes.fill(0xee);
    const sender = new PacketIdSender();
    sender.write(bytes, 2, 0x6b022d6b);
    expect(Buffer.from(bytes).toString('hex')).toBe('eeee000000016b022d6beeeeeeeeeeee');
    expect(PACKET_ID_SIZE).toBe(8);
  });

  test.each([0x7fffffff, 0x80000000, 0xffffffff])('carries the 32-bit value %d', (value) => {
    const sender = new PacketIdSender();
    expect(next(sender, value)).toEqual([1, value]);
  });

  test('starts a new epoch after the highest id once the clock has moved', () => {
    const sender = exhausted(1000);
    expect(sender.id).toBe(0xffffffff);
    expect(next(sender, 1000)).toBeUndefined();
    expect(next(sender, 999)).toBeUndefined();
    expect(next(sender, 1001)).toEqual([1, 1001]);
  });

  test.each([
    ['the clock moved on', 0, 1005, 1005],
    ['within the same second', 0, 1000, 1001],
    ['the clock moved back', 0, 900, 1001],
    ['not before the time it is given', 1003, 1000, 1003],
  ])('a restart begins at id 1 in a later epoch: %s', (_, earliest, nowSec, epoch) => {
    const sender = new PacketIdSender();
    next(sender, 1000);
    sender.start(earliest);
    expect(next(sender, nowSec)).toEqual([1, epoch]);
  });

  test('restarts without packets between them do not lose the last epoch', () => {
    const sender = new PacketIdSender();
    next(sender, 1000);
    sender.start();
    sender.start();
    expect(next(sender, 1000)).toEqual([1, 1001]);
  });
});
