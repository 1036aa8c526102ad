/** The engine's two clocks, read once per breath. The only file of the data plane that asks the system for the time. */

export interface Clock {
  /** Milliseconds since an arbitrary start, never going back; whole numbers. Drives every timer. */
  monotonicMs(): number;
  /** Seconds since 1970. Only stamps packet ids; may jump. */
  unixSeconds(): number;
}

export const systemClock: Clock = {
  // The origins differ by thread; the sum is the same clock on all of them.
  monotonicMs: () => Math.floor(performance.timeOrigin + performance.now()),
  unixSeconds: () => Math.floor(Date.now() / 1000),
};
