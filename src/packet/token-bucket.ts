/**
 * How many ICMP errors we send (RFC 1812 4.3.2.8, RFC 4443 2.4f): 100 a second, 50 at once; to one host 10 a second,
 * 10 at once. A token bucket is kept as the time at which it would be full again (the theoretical arrival time of
 * GCRA, ITU-T I.371): one number for each.
 */
import { ipVersion, IPV4_SOURCE } from './ipv4.ts';
import { IPV6_SOURCE } from './ipv6.ts';
import { readInt32 } from './word.ts';

/** Milliseconds that one token takes to come back, and how far ahead of the clock a bucket may run. */
const GLOBAL_INTERVAL = 10;
const GLOBAL_BURST = 50;
const HOST_INTERVAL = 100;
const HOST_BURST = 10;

/** Buckets of hosts; those with the same hash share one. A power of two. */
const HOSTS = 1024;
/** Index of the bucket of all hosts together, behind those of each. */
const GLOBAL = HOSTS;

export class IcmpLimiter {
  /** Times at which the buckets are full, milliseconds of the caller's clock. */
  private readonly fullAt = new Float64Array(HOSTS + 1);
  private readonly seed: number;

  /** `seed`: 32 random bits, so that nobody can choose an address that shares a bucket with another's. */
  constructor(seed: number) {
    this.seed = seed | 0;
  }

  /** Takes a token for an error to the source of the packet at `start`; false when there is none. */
  take(bytes: Uint8Array, start: number, nowMs: number): boolean {
    const host = this.bucketOf(bytes, start);
    const global = this.ready(GLOBAL, GLOBAL_INTERVAL, GLOBAL_BURST, nowMs);
    if (!global || !this.ready(host, HOST_INTERVAL, HOST_BURST, nowMs)) return false;
    this.spend(GLOBAL, GLOBAL_INTERVAL, nowMs);
    this.spend(host, HOST_INTERVAL, nowMs);
    return true;
  }

  private ready(bucket: number, interval: number, burst: number, nowMs: number): boolean {
    return this.fullAt[bucket] - nowMs <= interval * (burst - 1);
  }

  private spend(bucket: number, interval: number, nowMs: number): void {
    this.fullAt[bucket] = Math.max(this.fullAt[bucket], nowMs) + interval;
  }

  private bucketOf(bytes: Uint8Array, start: number): number {
    let hash = this.seed;
    if (ipVersion(bytes, start) === 4) {
      hash = mix(hash, readInt32(bytes, start + IPV4_SOURCE));
    } else {
      for (let i = 0; i < 16; i += 4) hash = mix(hash, readInt32(bytes, start + IPV6_SOURCE + i));
    }
    return hash & (HOSTS - 1);
  }
}

/** One round of MurmurHash3's 32-bit finalizer. */
function mix(hash: number, word: number): number {
  let h = hash ^ word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
