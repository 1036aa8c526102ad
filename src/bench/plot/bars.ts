/** Horizontal bars: one group per contender or condition, one bar per series, a whisker from the least sample to the greatest. */
import { linearAxis, tickLabel } from './scale.ts';
import { drawing, element, legend, line, seriesColour, text, WIDTH } from './svg.ts';

export interface Bar {
  readonly value: number;
  readonly min: number;
  readonly max: number;
}

export interface BarChart {
  readonly title: string;
  /** Quantity and unit, `goodput, Mbit/s`. */
  readonly axis: string;
  /** Of a bar's value. */
  readonly format: (value: number) => string;
  readonly series: readonly string[];
  /** A bar for each series, undefined where there is no figure. */
  readonly groups: readonly { readonly name: string; readonly bars: readonly (Bar | undefined)[] }[];
}

const CHARACTER = 7.6;
const BAR = 16;
const GROUP_GAP = 12;
const RIGHT = 110;
const TOP = 44;

export function barChart({ title, axis, format, series, groups }: BarChart): string {
  const left = 28 + Math.max(...groups.map(({ name }) => name.length)) * CHARACTER;
  const key = series.length > 1 ? legend(series, 16, TOP + 10) : { content: [], height: 0 };
  const top = TOP + key.height;
  const groupHeight = series.length * BAR + GROUP_GAP;
  const bottom = top + groups.length * groupHeight + GROUP_GAP;
  const all = groups.flatMap(({ bars }) => bars).filter((bar) => bar !== undefined);
  const scale = linearAxis(Math.max(0, ...all.map(({ max }) => max)), left, WIDTH - RIGHT);
  const content = [...key.content];
  for (const tick of scale.ticks) {
    content.push(line(scale.at(tick), top, scale.at(tick), bottom, 'grid'));
    content.push(text(scale.at(tick), bottom + 18, tickLabel(tick), { 'text-anchor': 'middle' }));
  }
  for (const [index, { name, bars }] of groups.entries()) {
    const y = top + GROUP_GAP + index * groupHeight;
    const middle = y + (series.length * BAR) / 2 + 4;
    content.push(text(left - 10, middle, name, { 'text-anchor': 'end' }));
    for (const [place, bar] of bars.entries()) {
      if (bar !== undefined) content.push(...drawBar(bar, place, y + place * BAR, scale.at, format));
    }
  }
  content.push(line(left, top, left, bottom, 'axis'));
  content.push(text((left + WIDTH - RIGHT) / 2, bottom + 40, axis, { 'text-anchor': 'middle' }));
  return drawing(title, bottom + 56, content);
}

function drawBar(
  bar: Bar,
  series: number,
  y: number,
  at: (value: number) => number,
  format: BarChart['format'],
): string[] {
  const fill = seriesColour(series);
  const middle = y + (BAR - 2) / 2;
  const parts = [
    element('rect', { x: at(0), y, width: Math.max(0.5, at(bar.value) - at(0)), height: BAR - 2, fill }),
    text(at(bar.max) + 8, y + 12, format(bar.value), { class: 'muted' }),
  ];
  if (bar.max > bar.min) parts.push(line(at(bar.min), middle, at(bar.max), middle, 'whisker'));
  return parts;
}
