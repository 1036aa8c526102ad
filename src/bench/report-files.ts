/** What a run leaves in its folder: results.json, report.md and the plots. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Baseline } from './baseline.ts';
import { plotsOf } from './plot/plots.ts';
import { renderReport } from './report.ts';
import type { BenchResults } from './results.ts';

/** Files of an earlier run are overwritten. */
export function writeReport(folder: string, results: BenchResults, baseline: Baseline | undefined): void {
  mkdirSync(folder, { recursive: true });
  const plots = plotsOf(results);
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify(results, undefined, 1)}\n`);
  writeFileSync(join(folder, 'report.md'), `# tsvpn bench\n\n${renderReport(results, plots, { baseline })}`);
  for (const { name, svg } of plots) writeFileSync(join(folder, `${name}.svg`), svg);
}
