/** One run of the bench: measures what the plan says, and returns the results. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { interrupted } from '../lab/errors.ts';
import type { Contender } from './contenders.ts';
import { formatReadings } from './format.ts';
import { describeMachine } from './machine.ts';
import type { InProcessBench } from './in-process.ts';
import type { Scale } from './measurements.ts';
import { planOf, type Part, type PlanOptions } from './plan.ts';
import type { BenchResults, ContenderResult, MeasurementResult } from './results.ts';
import { measureInTurn, reasonOf, repetitions, type Outcome, type Progress } from './round-robin.ts';
import { withTestbed } from './testbed.ts';
import { iperfProgram } from './traffic/tcp.ts';

export interface BenchOptions extends PlanOptions, Scale {
  readonly signal: AbortSignal;
  /** Takes what is being done at the moment. */
  readonly progress: (line: string) => void;
}

/** Throws OperatorError: unknown names (2), no privilege (4), interrupted or iperf3 not installed (1). */
export async function runBench(options: BenchOptions): Promise<BenchResults> {
  const startedAt = new Date();
  const { inProcess, parts } = planOf(options);
  const contenders = new Map<string, ContenderResult>();
  const present = parts.map((part) => presentOf(part, contenders));
  const outcome: Outcome = { samples: [], failures: [] };
  const progress = progressOf(options, inProcess, present);
  if (present.some(({ measurements }) => measurements.some(({ needsIperf }) => needsIperf))) iperfProgram();
  if (present.length > 0) {
    await withTestbed(options.signal, async (testbed) => {
      for (const part of present) await measureInTurn(testbed, part, options, outcome, progress);
    });
  }
  for (const bench of inProcess) await measureHere(bench, options, outcome, progress);
  const { seconds, repeat, quick } = options;
  return {
    schema: 'tsvpn.bench/1',
    machine: describeMachine(),
    startedAt: startedAt.toISOString(),
    tookSeconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
    secondsPerTransfer: seconds,
    repeat,
    quick,
    measurements: measurementResults([...present.flatMap(({ measurements }) => measurements), ...inProcess]),
    contenders: [...contenders.values()],
    ...outcome,
  };
}

/** Each once, in whatever parts it is made. */
function measurementResults(measured: readonly MeasurementResult[]): MeasurementResult[] {
  const results = measured.map(({ name, title, curve }): [string, MeasurementResult] => [
    name,
    curve === undefined ? { name, title } : { name, title, curve },
  ]);
  return [...new Map(results).values()];
}

/** The part without the contenders that cannot run here; all are noted in `results`. */
function presentOf(part: Part, results: Map<string, ContenderResult>): Part {
  const isPresent = (contender: Contender) => {
    const { name, title } = contender;
    const missing = contender.missing();
    if (!results.has(name))
      results.set(name, missing === undefined ? { name, title } : { name, title, missing });
    return missing === undefined;
  };
  return { contenders: part.contenders.filter(isPresent), measurements: part.measurements };
}

/** Counts the measurements that are done. */
function progressOf(
  { progress, ...scale }: BenchOptions,
  inProcess: readonly InProcessBench[],
  parts: readonly Part[],
): Progress {
  let total = inProcess.length;
  for (const { contenders, measurements } of parts) {
    for (const measurement of measurements) total += contenders.length * repetitions(measurement, scale);
  }
  let count = 0;
  return {
    say: progress,
    done: (...what) => progress(`[${++count}/${total}] ${formatReadings(...what)}`),
  };
}

async function measureHere(
  bench: InProcessBench,
  options: BenchOptions,
  { samples, failures }: Outcome,
  progress: Progress,
): Promise<void> {
  progress.say(`measuring in this process: ${bench.title}`);
  try {
    for (const { contender, ...reading } of bench.run(options)) {
      samples.push({ measurement: bench.name, contender, repetition: 0, ...reading });
      // Ctrl-C is heard in between.
      await nextTurn();
      options.signal.throwIfAborted();
    }
  } catch (error) {
    if (options.signal.aborted) throw interrupted('bench');
    failures.push({ measurement: bench.name, contender: 'in process', why: reasonOf(error) });
  }
  progress.done(bench.name, 'in process', []);
}
