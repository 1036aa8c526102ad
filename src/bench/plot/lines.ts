/** Curves over a logarithmic axis of sizes or rates. */
import { linearAxis, logAxis, tickLabel } from './scale.ts';
import { drawing, element, legend, line, seriesColour, text, WIDTH } from './svg.ts';

export interface Curve {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Points alone: nothing is known in between. Or a line alone: it is computed, not measured. */
  readonly drawn?: 'points' | 'line';
}

export interface LineChart {
  readonly title: string;
  /** Quantities and units of the axes. */
  readonly xAxis: string;
  readonly yAxis: string;
  readonly series: readonly Curve[];
  /** A value on the x axis to point out. */
  readonly mark?: { readonly x: number; readonly label: string };
}

const LEFT = 84;
const RIGHT = 24;
const TOP = 44;
const PLOT_HEIGHT = 300;

export function lineChart({ title, xAxis, yAxis, series, mark }: LineChart): string {
  const key = legend(
    series.map(({ name }) => name),
    16,
    TOP + 10,
  );
  const top = TOP + key.height + 8;
  const bottom = top + PLOT_HEIGHT;
  const points = series.flatMap((one) => one.points);
  const xs = points.map(([x]) => x);
  const x = logAxis(Math.min(...xs), Math.max(...xs), LEFT, WIDTH - RIGHT);
  const y = linearAxis(Math.max(...points.map(([, value]) => value)), bottom, top);
  const content = [...key.content];
  for (const tick of y.ticks) {
    content.push(line(LEFT, y.at(tick), WIDTH - RIGHT, y.at(tick), 'grid'));
    content.push(text(LEFT - 8, y.at(tick) + 4, tickLabel(tick), { 'text-anchor': 'end' }));
  }
  for (const tick of x.ticks) {
    content.push(line(x.at(tick), top, x.at(tick), bottom, 'grid'));
    content.push(text(x.at(tick), bottom + 18, tickLabel(tick), { 'text-anchor': 'middle' }));
  }
  if (mark !== undefined) content.push(...drawMark(x.at(mark.x), top, bottom, mark.label));
  for (const [index, { points, drawn }] of series.entries()) {
    const pixels = points.map(([px, py]) => [x.at(px), y.at(py)] as const);
    if (drawn !== 'points') content.push(drawPath(pixels, index));
    if (drawn !== 'line') content.push(...drawPoints(pixels, index));
  }
  const middle = (top + bottom) / 2;
  content.push(line(LEFT, top, LEFT, bottom, 'axis'), line(LEFT, bottom, WIDTH - RIGHT, bottom, 'axis'));
  content.push(text((LEFT + WIDTH - RIGHT) / 2, bottom + 40, xAxis, { 'text-anchor': 'middle' }));
  content.push(text(22, middle, yAxis, { 'text-anchor': 'middle', transform: `rotate(-90 22 ${middle})` }));
  return drawing(title, bottom + 56, content);
}

function drawMark(x: number, top: number, bottom: number, label: string): string[] {
  return [
    element('line', { x1: x, y1: top, x2: x, y2: bottom, class: 'whisker', 'stroke-dasharray': '4 4' }),
    text(x - 6, top + 14, label, { 'text-anchor': 'end', class: 'muted' }),
  ];
}

type Pixels = readonly (readonly [x: number, y: number])[];

function drawPath(points: Pixels, index: number): string {
  const d = points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`).join(' ');
  return element('path', { d, fill: 'none', stroke: seriesColour(index), 'stroke-width': 2 });
}

/** Series differ by the shape of their points, too, and by its size, so that one does not hide another. */
function drawPoints(points: Pixels, index: number): string[] {
  const fill = seriesColour(index);
  const radius = Math.max(2.5, 5 - index);
  return points.map(([x, y]) =>
    index % 2 === 0
      ? element('circle', { cx: x, cy: y, r: radius, fill })
      : element('rect', { x: x - radius, y: y - radius, width: 2 * radius, height: 2 * radius, fill }),
  );
}
