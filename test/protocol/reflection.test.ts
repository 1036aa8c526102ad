import { describe, expect, it } from 'vitest';
import { OwnPackets } from '../../src/protocol/reflection.ts';

const EPOCH = 1000;

describe('OwnPackets', () => {
  it('knows what it sent in the current epoch by id and tag', () => {
    const own = new OwnPackets();
    own.sent(1, 0xaaaa);
    own.sent(2, 0xbbbb);
    expect(own.isOwn(2, EPOCH, 0xbbbb, EPOCH, 2)).toBe(true);
    expect(own.isOwn(2, EPOCH, 0xcccc, EPOCH, 2)).toBe(false);
    expect(own.isOwn(3, EPOCH, 0xbbbb, EPOCH, 2)).toBe(false);
    expect(own.isOwn(2, EPOCH + 1, 0xbbbb, EPOCH, 2)).toBe(false);
  });

  it('knows what it sent in epochs that have ended', () => {
    const own = new OwnPackets();
    own.sent(1, 0xaaaa);
    own.retire(EPOCH, 1);
    own.sent(1, 0xdddd);
    expect(own.isOwn(1, EPOCH, 0xaaaa, EPOCH + 5, 1)).toBe(true);
    expect(own.isOwn(1, EPOCH, 0xdddd, EPOCH + 5, 1)).toBe(false);
    expect(own.isOwn(2, EPOCH, 0xaaaa, EPOCH + 5, 1)).toBe(false);
  });

  it('counts ids too old to remember, and epochs too old to remember, as its own', () => {
    const own = new OwnPackets();
    expect(own.isOwn(1, EPOCH, 0x1, EPOCH, 65537)).toBe(true);
    expect(own.isOwn(2, EPOCH, 0x1, EPOCH, 65537)).toBe(false);
    for (let i = 0; i < 20; i++) own.retire(EPOCH + i, 1);
    expect(own.isOwn(1, EPOCH, 0x1, EPOCH + 50, 1)).toBe(true);
  });

  it('starts later than a peer heard in this second, but follows nobody into the future', () => {
    const own = new OwnPackets();
    expect(own.laterThan(0, EPOCH)).toBe(EPOCH);
    expect(own.laterThan(EPOCH - 1, EPOCH)).toBe(EPOCH);
    expect(own.laterThan(EPOCH, EPOCH)).toBe(EPOCH + 1);
    expect(own.laterThan(EPOCH + 1, EPOCH)).toBe(EPOCH + 2);
    expect(own.laterThan(EPOCH + 1000, EPOCH)).toBe(EPOCH);
  });

  it('moves out of a shared epoch by a coin, and never more than 2 s ahead of the clock', () => {
    const own = new OwnPackets();
    expect(own.shouldMove(1, EPOCH, EPOCH)).toBe(true);
    expect(own.shouldMove(2, EPOCH, EPOCH)).toBe(false);
    expect(own.shouldMove(1, EPOCH + 2, EPOCH)).toBe(false);
  });
});
