/**
 * Writes the figures of a run between the markers of docs/performance.md, and its plots to docs/performance/:
 * `node scripts/performance.mjs [bench/results/results.json [MORE.json ...]]`. Needs a build. Measurements of a later file
 * take the place of those of an earlier one, whole, so that a ratio never compares two runs.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { plotsOf } from '../dist/bench/plot/plots.js';
import { renderReport } from '../dist/bench/report.js';

const root = new URL('../', import.meta.url);
const files = process.argv.slice(2);
if (files.length === 0) files.push(new URL('bench/results/results.json', root));
const results = files.map((file) => JSON.parse(readFileSync(file, 'utf8'))).reduce(merged);
const plots = plotsOf(results);

const plotFolder = new URL('docs/performance/', root);
rmSync(plotFolder, { recursive: true, force: true });
mkdirSync(plotFolder);
for (const { name, svg } of plots) writeFileSync(new URL(`${name}.svg`, plotFolder), svg);

const page = new URL('docs/performance.md', root);
const markers = /(<!-- figures: .*-->\n)[^]*(<!-- end of figures -->)/;
const text = readFileSync(page, 'utf8');
if (!markers.test(text)) throw new Error('docs/performance.md has no markers for the figures');
const figures = renderReport(results, plots, { plotFolder: 'performance/' });
writeFileSync(
  page,
  text.replace(markers, (_, start, end) => `${start}\n${figures}\n${end}`),
);

function merged(earlier, later) {
  const names = new Set(later.measurements.map(({ name }) => name));
  const kept = (items, nameOf) => items.filter((item) => !names.has(nameOf(item)));
  const contenders = [...earlier.contenders, ...later.contenders];
  return {
    ...earlier,
    tookSeconds: earlier.tookSeconds + later.tookSeconds,
    measurements: [...kept(earlier.measurements, ({ name }) => name), ...later.measurements],
    contenders: [...new Map(contenders.map((contender) => [contender.name, contender])).values()],
    samples: [...kept(earlier.samples, ({ measurement }) => measurement), ...later.samples],
    failures: [...kept(earlier.failures, ({ measurement }) => measurement), ...later.failures],
  };
}
