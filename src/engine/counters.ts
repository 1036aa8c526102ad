/**
 * Counters in memory shared with the main thread: the data plane adds, the control plane reads. Doubles are exact up
 * to 2^53 and aligned 64-bit stores are not torn on x86-64 and arm64, so no locks are needed (docs/adr/0010).
 */
import { PASS, VERDICT_COUNT, type Verdict } from '../packet/verdict.ts';

/**
 * One block counts for the device, and one for each peer. `Tun*` of a peer are the inner packets to it (read) and from
 * it (write), whatever other door they used.
 */
export const Counter = {
  TunReadPackets: 0,
  TunReadBytes: 1,
  TunWritePackets: 2,
  TunWriteBytes: 3,
  UdpReadPackets: 4,
  UdpReadBytes: 5,
  UdpWritePackets: 6,
  UdpWriteBytes: 7,
  /** Payload bytes accepted from the peer, pings and OCC included, framing removed (stock's "Auth read bytes"). */
  AuthReadBytes: 8,
  /** Monotonic milliseconds of the last valid payload, on the worker's clock; 0 for never. */
  LastReceiveMs: 9,
  /** Monotonic milliseconds at the last commit, on the worker's clock. */
  NowMs: 10,
  Breaths: 11,
  /** Largest datagrams so far, UDP payload bytes: what an OCC MTU request asks for. */
  LargestReceived: 12,
  LargestSent: 13,
  /** Times the kernel refused an offload and single packets were used instead. */
  OffloadFallbacks: 14,
  /** ICMP errors of our own. */
  IcmpSent: 15,
  /** Compressed payloads of the peer, before and after (stock's "pre-decompress" and "post-decompress bytes"). */
  PreDecompressBytes: 16,
  PostDecompressBytes: 17,
  /** Of a peer, for `replay-persist`: where the replay window is, and the epoch of our own packets. */
  ReplayEpoch: 18,
  ReplayTop: 19,
  OwnEpoch: 20,
  /** Of a peer: the longest IP packet that passes to it, 0 for unknown; the longest inner packet, and the MSS clamp. */
  PathMtu: 21,
  InnerMtu: 22,
  Mss: 23,
  /** Times a router or the kernel has said that datagrams are too long. */
  PathMtuTold: 24,
  /** Longest fragment, 0 without `fragment`. */
  Fragment: 25,
  /** Of a peer: how often the network has answered in its place since it was heard, and the last errno; 0 for none. */
  UnreachableTimes: 26,
  UnreachableErrno: 27,
} as const;
export type Counter = (typeof Counter)[keyof typeof Counter];

const DROPS = 32;
const SIZE = DROPS + VERDICT_COUNT;

export class Counters {
  readonly values: Float64Array;

  /** `shared` comes from `Counters.allocate()`; both threads build their own view on it. */
  constructor(shared: SharedArrayBuffer) {
    this.values = new Float64Array(shared);
  }

  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(SIZE * Float64Array.BYTES_PER_ELEMENT);
  }

  add(counter: Counter, amount: number): void {
    this.values[counter] += amount;
  }

  set(counter: Counter, value: number): void {
    this.values[counter] = value;
  }

  /** Raises a counter to `value` if it is lower. */
  atLeast(counter: Counter, value: number): void {
    if (this.values[counter] < value) this.values[counter] = value;
  }

  get(counter: Counter): number {
    return this.values[counter];
  }

  drop(verdict: Verdict): void {
    this.values[DROPS + verdict] += 1;
  }

  drops(verdict: Verdict): number {
    return this.values[DROPS + verdict];
  }

  /** All packets dropped for any reason. */
  totalDrops(): number {
    let total = 0;
    for (let verdict = PASS + 1; verdict < VERDICT_COUNT; verdict++) total += this.values[DROPS + verdict];
    return total;
  }
}
