/** The rate of ICMP errors, by a clock of the test's own. */
import { describe, expect, test } from 'vitest';
import { IcmpLimiter } from '../../src/packet/token-bucket.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { ipv4Packet, ipv6Packet } from '../support/ip.ts';

const SEED = 0x9e3779b9;
/** Milliseconds since 1970, beyond 32 bits, as the engine's clock gives them. */
const START = 1_750_000_000_000;

const fromHost = (n: number) => ipv4Packet({ source: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}` });
/** Packets of so many hosts that the bucket of each is hardly ever another's. */
const hosts = Array.from({ length: 4000 }, (_, i) => fromHost(i + 1));

/** Tokens that `tries` errors to this host get at one moment. */
function taken(limiter: IcmpLimiter, packet: Uint8Array, tries: number, now: number): number {
  let count = 0;
  for (let i = 0; i < tries; i++) if (limiter.take(packet, 0, now)) count++;
  return count;
}

describe('to one host', () => {
  test.each([
    ['IPv4', ipv4Packet()],
    ['IPv6', ipv6Packet()],
  ])('%s: 10 at once, then 10 a second', (_, packet) => {
    const limiter = new IcmpLimiter(SEED);
    expect(taken(limiter, packet, 100, START)).toBe(10);
    expect(taken(limiter, packet, 100, START + 99)).toBe(0);
    expect(taken(limiter, packet, 100, START + 100)).toBe(1);
    expect(taken(limiter, packet, 100, START + 600)).toBe(5);
    expect(taken(limiter, packet, 100, START + 60_000)).toBe(10);
  });

  test('a flood of 10 s gets 110 of its errors', () => {
    const limiter = new IcmpLimiter(SEED);
    let count = 0;
    for (let ms = 0; ms <= 10_000; ms++) count += taken(limiter, hosts[0], 3, START + ms);
    expect(count).toBe(110);
  });

  test('leaves others their errors', () => {
    const limiter = new IcmpLimiter(SEED);
    taken(limiter, hosts[0], 1000, START);
    expect(taken(limiter, hosts[1], 100, START)).toBe(10);
  });

  test('an IPv6 host is known by all 16 bytes', () => {
    const limiter = new IcmpLimiter(SEED);
    const sources = ['fd00::1', 'fd00::2', 'fd00::1:0:0:0:1', 'fd00::1:0:1', 'fd01::1'];
    const counts = sources.map((source) => taken(limiter, ipv6Packet({ source }), 11, START));
    expect(counts).toEqual([10, 10, 10, 10, 10]);
  });
});

describe('to all hosts', () => {
  const flood = (limiter: IcmpLimiter, now: number) =>
    hosts.reduce((count, packet) => count + taken(limiter, packet, 1, now), 0);

  test('50 at once, then 100 a second', () => {
    const limiter = new IcmpLimiter(SEED);
    expect(flood(limiter, START)).toBe(50);
    expect(flood(limiter, START + 9)).toBe(0);
    expect(flood(limiter, START + 10)).toBe(1);
    expect(flood(limiter, START + 110)).toBe(10);
    expect(flood(limiter, START + 60_000)).toBe(50);
  });

  test('what one host may not have costs the others nothing', () => {
    const limiter = new IcmpLimiter(SEED);
    taken(limiter, hosts[0], 1000, START);
    expect(flood(limiter, START)).toBe(40);
  });
});

test('the seed decides which hosts share a bucket', () => {
  const sharers = (seed: number) =>
    hosts.slice(1).filter((packet) => {
      const limiter = new IcmpLimiter(seed);
      taken(limiter, hosts[0], 10, START);
      return !limiter.take(packet, 0, START);
    });
  const [some, others] = [sharers(1), sharers(2)];
  expect(some.length).toBeGreaterThan(0);
  expect(some.length).toBeLessThan(20);
  expect(others.filter((packet) => some.includes(packet))).toEqual([]);
});

test('allocates nothing', () => {
  const limiter = new IcmpLimiter(SEED);
  const packet = ipv6Packet();
  let allowed = 0;
  const perCall = bytesPerCall(() => {
    if (limiter.take(packet, 0, START)) allowed++;
  });
  expect(perCall).toBeLessThan(1);
  expect(allowed).toBe(10);
});
