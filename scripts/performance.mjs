/**
 * Writes the figures of a run between the markers of docs/performance.md, and its plots to docs/performance/:
 * `node scripts/performance.mjs [bench/results/results.json]`. Needs a build.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { plotsOf } from '../dist/bench/plot/plots.js';
import { renderReport } from '../dist/bench/report.js';

const root = new URL('../', import.meta.url);
const results = JSON.parse(
  readFileSync(process.argv[2] ?? new URL('bench/results/results.json', root), 'utf8'),
);
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
