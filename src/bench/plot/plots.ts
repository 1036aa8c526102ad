/** The plots of a report: which figures go into which. */
import { formatNumber, formatValue } from '../format.ts';
import { METRICS, type MetricName } from '../metrics.ts';
import { largestUnfragmented, outerCost, WIDE_MTU, WIDE_SHAPE } from '../mtu.ts';
import { PATH_MEASUREMENTS } from '../paths.ts';
import { figures, type BenchResults, type Figure, type MeasurementResult } from '../results.ts';
import { BAR_PLOTS, type BarPlot, type Series } from './bar-plots.ts';
import { barChart, type Bar } from './bars.ts';
import { lineChart, type Curve } from './lines.ts';

export interface Plot {
  /** Name of the file, without `.svg`. */
  readonly name: string;
  readonly title: string;
  readonly svg: string;
}

/** The cable would dwarf everything else; noble is not for speed. Both are in the tables. */
function fitsBars({ measurement, contender }: Figure): boolean {
  return contender !== 'veth' && !(measurement === 'codec' && contender.startsWith('noble'));
}

interface CurvePlot {
  readonly measurement: string;
  readonly metric: MetricName;
  readonly title: string;
  readonly xAxis: string;
  /** Marks the largest packet that is not fragmented outside. */
  readonly fragmentation?: boolean;
}

const OFFERED = 'offered packets per second';
/** Fewer make no curve. */
const LEAST_POINTS = 4;
const FRAGMENTATION = { x: largestUnfragmented(WIDE_SHAPE), label: 'outer fragmentation →' };
const INNER = 'inner IP packet, bytes';

const CURVE_PLOTS: readonly CurvePlot[] = [
  ...[64, 512, 1400].map((size): CurvePlot => ({
    measurement: `udp${size}`,
    metric: 'received',
    title: `UDP, IP packets of ${size} bytes: offered and received`,
    xAxis: OFFERED,
  })),
  {
    measurement: 'mtu-udp',
    metric: 'mbps',
    title: 'UDP goodput by packet size',
    xAxis: INNER,
    fragmentation: true,
  },
  {
    measurement: 'mtu-udp',
    metric: 'received',
    title: 'UDP packet rate by packet size',
    xAxis: INNER,
    fragmentation: true,
  },
  {
    measurement: 'mtu-tcp',
    metric: 'mbps',
    title: 'TCP goodput by packet size asked for, with and without mssfix',
    xAxis: INNER,
    fragmentation: true,
  },
];

/** Those for which the run has figures. */
export function plotsOf(results: BenchResults): Plot[] {
  const all = figures(results.samples);
  return [
    ...BAR_PLOTS.flatMap((plot) => barPlot(plot, all)),
    ...CURVE_PLOTS.flatMap((plot) => curvePlot(plot, all)),
    ...overheadPlot(all),
    ...results.measurements.flatMap((measurement) => pathPlots(measurement, all)),
  ];
}

function barPlot(plot: BarPlot, all: readonly Figure[]): Plot[] {
  const shown = all.filter((figure) => figure.at === undefined && fitsBars(figure));
  const measured = plot.series.filter((one) => shown.some((figure) => isOf(figure, one)));
  if (measured.length === 0) return [];
  const names = new Set(
    shown.filter((figure) => measured.some((one) => isOf(figure, one))).map(({ contender }) => contender),
  );
  const groups = [...names].map((name) => ({
    name,
    bars: measured.map((one) => {
      return barOf(shown.find((figure) => figure.contender === name && isOf(figure, one)));
    }),
  }));
  const { name, title } = plot;
  const axis = axisOf(measured.map(({ metric }) => metric));
  const format = (value: number) => formatValue(value, measured[0].metric);
  const svg = barChart({ title, axis, format, series: measured.map((one) => one.name), groups });
  return [{ name, title, svg }];
}

/** What bars count whose metrics have one unit. */
function axisOf(metrics: readonly MetricName[]): string {
  const { title, unit, better } = METRICS[metrics[0]];
  const quantity = new Set(metrics).size === 1 ? `${title}, ${unit}` : unit;
  return `${quantity} (${better === 'higher' ? 'more' : 'less'} is better)`;
}

function isOf(figure: Figure, { measurement, metric }: Series): boolean {
  return figure.measurement === measurement && figure.metric === metric;
}

function curvePlot(
  { measurement, metric, title, xAxis, fragmentation }: CurvePlot,
  all: readonly Figure[],
): Plot[] {
  const curves = curvesOf(all, measurement, metric);
  if (Math.max(0, ...curves.map(({ points }) => points.length)) < LEAST_POINTS) return [];
  const { title: quantity, unit } = METRICS[metric];
  const svg = lineChart({
    title,
    xAxis,
    yAxis: `${quantity}, ${unit}`,
    series: curves,
    ...(fragmentation === true ? { mark: FRAGMENTATION } : {}),
  });
  return [{ name: `${measurement}-${metric}`, title, svg }];
}

function curvesOf(all: readonly Figure[], measurement: string, metric: MetricName): Curve[] {
  // A load as high as possible (0) has no place on the axis.
  const points = all.filter(
    (figure) => figure.measurement === measurement && figure.metric === metric && (figure.at ?? 0) > 0,
  );
  const names = [...new Set(points.map(({ contender }) => contender))];
  return names.map((name) => ({
    name,
    points: points
      .filter(({ contender }) => contender === name)
      .map(({ at, summary }) => [at!, summary.median] as const),
  }));
}

/** What the tunnels add to a packet, over what protocol/mtu.ts says they must. */
function overheadPlot(all: readonly Figure[]): Plot[] {
  const measured = curvesOf(all, 'mtu-udp', 'overhead');
  if (measured.length === 0) return [];
  const sizes = Array.from({ length: (WIDE_MTU - 64) / 8 + 1 }, (_, i) => 64 + i * 8);
  const title = 'Bytes the tunnel adds to a packet, measured and by arithmetic';
  const series: Curve[] = [
    ...measured.map((curve) => ({ ...curve, drawn: 'points' as const })),
    {
      name: 'arithmetic (every 8 bytes)',
      points: sizes.map((size) => [size, outerCost(WIDE_SHAPE, size).overhead] as const),
      drawn: 'line',
    },
  ];
  const svg = lineChart({
    title,
    xAxis: INNER,
    yAxis: 'overhead, bytes/packet',
    series,
    mark: FRAGMENTATION,
  });
  return [{ name: 'mtu-udp-overhead', title, svg }];
}

const PATH_METRICS: readonly MetricName[] = ['mbps', 'firstByte'];

/** A group of bars for each path, a bar for each contender. */
function pathPlots({ name, title }: MeasurementResult, all: readonly Figure[]): Plot[] {
  if (!PATH_MEASUREMENTS.includes(name)) return [];
  const own = all.filter(({ measurement, at }) => measurement === name && at !== undefined);
  const contenders = [...new Set(own.map(({ contender }) => contender))];
  const mtus = [...new Set(own.map(({ at }) => at!))];
  return PATH_METRICS.filter((metric) => own.some((figure) => figure.metric === metric)).map((metric) => {
    const groups = mtus.map((mtu) => ({
      name: `MTU ${formatNumber(mtu, 0)}`,
      bars: contenders.map((contender) => {
        const isBar = (one: Figure) => one.at === mtu && one.contender === contender && one.metric === metric;
        return barOf(own.find(isBar));
      }),
    }));
    const axis = axisOf([metric]);
    const format = (value: number) => formatValue(value, metric);
    const heading = `${title}: ${METRICS[metric].title}`;
    const svg = barChart({ title: heading, axis, format, series: contenders, groups });
    return { name: `${name}-${metric}`, title: heading, svg };
  });
}

function barOf(figure: Figure | undefined): Bar | undefined {
  return figure && { value: figure.summary.median, min: figure.summary.min, max: figure.summary.max };
}
