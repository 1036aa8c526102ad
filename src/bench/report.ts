/** The results as a Markdown report. */
import { compareWithBaseline, type Baseline } from './baseline.ts';
import { formatNumber, formatRatio, formatValue } from './format.ts';
import { judgeGoals, type GoalResult } from './goals.ts';
import { METRICS, type MetricName } from './metrics.ts';
import { largestUnfragmented, WIDE_SHAPE } from './mtu.ts';
import type { Plot } from './plot/plots.ts';
import { figures, REFERENCE, type BenchResults, type Figure, type MeasurementResult } from './results.ts';

/** `plots` are linked as files beside the report, or under `plotFolder`. */
export function renderReport(
  results: BenchResults,
  plots: readonly Plot[],
  { baseline, plotFolder = '' }: { baseline?: Baseline | undefined; plotFolder?: string } = {},
): string {
  const all = figures(results.samples);
  const blocks = [
    ...introduction(results),
    ...goalBlocks(judgeGoals(results.samples)),
    ...results.measurements.flatMap((measurement) => measurementBlocks(measurement, all)),
    ...(plots.length === 0 ? [] : ['### Plots']),
    ...plots.map(({ name, title }) => `![${title}](${plotFolder}${name}.svg)`),
    ...failureBlocks(results),
    ...(baseline === undefined ? [] : baselineBlocks(results, baseline)),
  ];
  return `${blocks.join('\n\n')}\n`;
}

function introduction(results: BenchResults): string[] {
  const { machine, startedAt, tookSeconds, secondsPerTransfer, repeat, quick } = results;
  const versions = Object.entries(machine.versions).map(([program, version]) => `${program} ${version}`);
  const facts = [
    ['machine', `${machine.cpu}, ${machine.cores} cores, ${formatNumber(machine.memoryBytes / 1e9, 1)} GB`],
    ['system', `${machine.distribution}, Linux ${machine.kernel}, ${machine.arch}`],
    ['versions', versions.join(', ')],
    ['commit', machine.commit ?? 'unknown'],
    ['run', `${startedAt}, ${formatNumber(tookSeconds / 60, 0)} min${quick ? ', quick' : ''}`],
    ['samples', `${repeat} of each, TCP transfers of ${secondsPerTransfer} s`],
  ];
  const contenders = results.contenders.map(({ name, title, missing }) => [
    name,
    missing === undefined ? title : `${title}: not measured, ${missing.replaceAll('\n', ' ')}`,
  ]);
  return [
    table(['', ''], facts),
    ...(contenders.length === 0 ? [] : [table(['contender', ''], contenders)]),
    'Medians, with the least and the greatest sample in parentheses; × is the ratio to `stock` in this run.',
  ];
}

function goalBlocks(goals: readonly GoalResult[]): string[] {
  if (goals.length === 0) return [];
  const rows = goals.map(({ goal, value, verdict }) => {
    const show = (number: number) => formatNumber(number, goal.of === 'ratio' ? 2 : 0);
    const times = goal.of === 'ratio' ? '×' : '';
    return [
      goal.title,
      `${show(goal.must)}${times}`,
      `${show(goal.aim)}${times}`,
      `${show(value)}${times}`,
      verdict,
    ];
  });
  const head = ['against stock in this run', 'must', 'aim', 'measured', ''];
  return ['### Goals', table(head, rows)];
}

function measurementBlocks({ name, title, curve }: MeasurementResult, all: readonly Figure[]): string[] {
  const own = all.filter(({ measurement }) => measurement === name);
  const single = own.filter(({ at }) => at === undefined);
  const points = own.filter(({ at }) => at !== undefined);
  if (own.length === 0) return [];
  return [
    `### ${title}`,
    ...(single.length === 0 ? [] : [singleTable(single)]),
    ...(points.length === 0 ? [] : curveTables(curve ?? '', points)),
    ...arithmeticBlocks(points),
  ];
}

/** Whether what was measured on the cable is what protocol/mtu.ts computes. */
function arithmeticBlocks(points: readonly Figure[]): string[] {
  const value = (contender: string, at: number | undefined, metric: MetricName) =>
    points.find((one) => one.contender === contender && one.at === at && one.metric === metric)?.summary
      .median;
  const measured = points.filter(({ metric }) => metric === 'overhead');
  if (measured.length === 0) return [];
  const wrong = measured.filter(
    ({ contender, at, summary }) => Math.round(summary.median) !== value(contender, at, 'overheadExpected'),
  );
  const whole = (contender: string) =>
    Math.max(
      ...measured
        .filter((one) => one.contender === contender && value(contender, one.at, 'frames') === 1)
        .map(({ at }) => at!),
    );
  const starts = distinct(measured.map(({ contender }) => contender)).map(
    (contender) => `${contender} ${formatNumber(whole(contender), 0)} bytes`,
  );
  const computed = formatNumber(largestUnfragmented(WIDE_SHAPE), 0);
  return [
    `Largest inner packet whose datagram fits one outer packet: ${starts.join(', ')}; by arithmetic ${computed} bytes.`,
    wrong.length === 0
      ? 'The overhead is that of the arithmetic (src/protocol/mtu.ts) at every size.'
      : `The overhead differs from the arithmetic: ${wrong.map(({ contender, at }) => `${contender} at ${at}`).join(', ')}.`,
  ];
}

/** A row for each contender, a column for each metric. */
function singleTable(own: readonly Figure[]): string {
  const metrics = distinct(own.map(({ metric }) => metric));
  const contenders = distinct(own.map(({ contender }) => contender));
  const rows = contenders.map((contender) => [
    contender,
    ...metrics.map((metric) => cell(own.find((one) => one.contender === contender && one.metric === metric))),
  ]);
  return table(['', ...metrics.map(heading)], rows);
}

function cell(figure: Figure | undefined): string {
  if (figure === undefined) return '–';
  const { metric, summary, ratio, contender } = figure;
  const show = (value: number) => formatValue(value, metric);
  const spread = summary.count > 1 ? ` (${show(summary.min)}–${show(summary.max)})` : '';
  const times = contender === REFERENCE ? '' : formatRatio(ratio);
  return `${show(summary.median)}${spread}${times === '' ? '' : ` ${times}`}`;
}

/** For each metric a table: a row for each place on the curve, a column for each contender. */
function curveTables(curve: string, points: readonly Figure[]): string[] {
  const contenders = distinct(points.map(({ contender }) => contender));
  const places = distinct(points.map(({ at }) => at!));
  return distinct(points.map(({ metric }) => metric)).flatMap((metric) => {
    const find = (at: number, contender: string) =>
      points.find((one) => one.at === at && one.contender === contender && one.metric === metric);
    const rows = places.map((at) => [
      at === 0 ? 'all it can' : formatNumber(at, 0),
      ...contenders.map((contender) => {
        const figure = find(at, contender);
        return figure === undefined ? '–' : formatValue(figure.summary.median, metric);
      }),
    ]);
    return [`${heading(metric)}, by ${curve}:`, table([curve, ...contenders], rows)];
  });
}

function failureBlocks({ failures }: BenchResults): string[] {
  if (failures.length === 0) return [];
  const rows = failures.map(({ measurement, contender, why }) => [
    measurement,
    contender,
    why.replaceAll('\n', ' '),
  ]);
  return ['### Failed', table(['measurement', 'contender', 'why'], rows)];
}

function baselineBlocks(results: BenchResults, baseline: Baseline): string[] {
  const rows = compareWithBaseline(results, baseline).map((row) => [
    row.measurement,
    row.contender,
    METRICS[row.metric].title,
    formatRatio(row.ratio),
    formatRatio(row.now),
    `${formatNumber(row.tolerance * 100, 0)} %`,
    row.verdict === 'regressed' ? '**regressed**' : row.verdict,
  ]);
  if (rows.length === 0) return [];
  const head = ['measurement', 'contender', 'figure', 'baseline', 'now', 'tolerance', ''];
  return ['### Ratios to stock against the baseline', table(head, rows)];
}

function heading(metric: MetricName): string {
  const { title, unit } = METRICS[metric];
  return unit === '' ? title : `${title}, ${unit}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const numbers = head.map(
    (_, column) => column > 0 && rows.every((row) => /^([\d–]|all|no byte|not all)/.test(row[column])),
  );
  const line = (cells: readonly string[]) => `| ${cells.map(escapeCell).join(' | ')} |`;
  return [line(head), line(numbers.map((right) => (right ? '---:' : '---'))), ...rows.map(line)].join('\n');
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function distinct<Item>(items: readonly Item[]): Item[] {
  return [...new Set(items)];
}
