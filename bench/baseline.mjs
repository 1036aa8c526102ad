/** Makes a run's ratios to stock the baseline of later ones: `node bench/baseline.mjs [bench/results/results.json]`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { baselineOf } from '../dist/bench/baseline.js';

const from = process.argv[2] ?? new URL('results/results.json', import.meta.url);
const baseline = baselineOf(JSON.parse(readFileSync(from, 'utf8')));
writeFileSync(new URL('baseline.json', import.meta.url), `${JSON.stringify(baseline, undefined, 2)}\n`);
