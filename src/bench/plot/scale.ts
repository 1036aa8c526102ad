/** Axes: round ticks, and where a value lies between two pixels. */

export interface Axis {
  /** Pixel of a value. */
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

const STEPS = [1, 2, 2.5, 5, 10];
const WANTED_TICKS = 6;

/** From 0 to a round number not below `max`. */
export function linearAxis(max: number, from: number, to: number): Axis {
  const rough = (max > 0 ? max : 1) / WANTED_TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * STEPS.find((candidate) => candidate * power >= rough * 0.999)!;
  const count = Math.ceil((max > 0 ? max : 1) / step - 1e-9);
  const end = count * step;
  const ticks = Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(12)));
  return { at: (value) => from + (value / end) * (to - from), ticks };
}

/** Logarithmic from the power of ten (or 2 or 5 times it) not above `min` to that not below `max`; both positive. */
export function logAxis(min: number, max: number, from: number, to: number): Axis {
  const marks: number[] = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.ceil(Math.log10(max)); power++) {
    for (const factor of [1, 2, 5]) marks.push(Number((factor * 10 ** power).toPrecision(12)));
  }
  const first = marks.findLastIndex((mark) => mark <= min);
  const last = marks.findIndex((mark) => mark >= max);
  const ticks = marks.slice(first, Math.max(last, first + 1) + 1);
  const low = Math.log(ticks[0]);
  const span = Math.log(ticks[ticks.length - 1]) - low;
  return { at: (value) => from + ((Math.log(value) - low) / span) * (to - from), ticks };
}

/** `1,500` and `80 k`. */
export function tickLabel(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(4))} M`;
  if (value >= 10_000) return `${Number((value / 1000).toPrecision(4))} k`;
  return value.toLocaleString('en-US', { maximumFractionDigits: 3 });
}
