/** One run of the bench: chooses what to measure, measures it, and returns the results. */
import { ExitCode, OperatorError } from '../errors.ts';
import { contenders, MAIN, type Contender } from './contenders.ts';
import { describeMachine } from './machine.ts';
import { MEASUREMENTS } from './measurements.ts';
import type { BenchResults } from './results.ts';
import { measureInTurn, type Progress } from './round-robin.ts';
import { withTestbed } from './testbed.ts';

export interface BenchOptions {
  /** Names of measurements; undefined for all. */
  readonly only: readonly string[] | undefined;
  /** Names of contenders; undefined for the main ones. */
  readonly contenders: readonly string[] | undefined;
  readonly seconds: number;
  readonly repeat: number;
  readonly tsvpnCommand: readonly string[];
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

/** Throws OperatorError: unknown names (2), no privilege (4), interrupted, iperf3 not installed (1). */
export async function runBench(options: BenchOptions): Promise<BenchResults> {
  const { seconds, repeat, signal, progress } = options;
  const measurements = pick(options.only, MEASUREMENTS, 'only');
  const chosen = pick(
    options.contenders ?? MAIN,
    [...contenders(options.tsvpnCommand).values()],
    'contenders',
  );
  const startedAt = new Date();
  const missing = new Map(chosen.map((contender) => [contender, contender.missing()]));
  const present = chosen.filter((contender) => missing.get(contender) === undefined);
  const { samples, failures } = await withTestbed(signal, (testbed) =>
    measureInTurn(testbed, present, measurements, { seconds, repeat, quick: false }, progress),
  );
  return {
    schema: 'tsvpn.bench/1',
    machine: describeMachine(),
    startedAt: startedAt.toISOString(),
    tookSeconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
    secondsPerTransfer: seconds,
    repeat,
    measurements: measurements.map(({ name, title }) => ({ name, title })),
    contenders: chosen.map((contender) => contenderResult(contender, missing.get(contender))),
    samples,
    failures,
  };
}

function contenderResult({ name, title }: Contender, missing: string | undefined) {
  return missing === undefined ? { name, title } : { name, title, missing };
}

function pick<Item extends { name: string }>(
  names: readonly string[] | undefined,
  items: readonly Item[],
  option: string,
): Item[] {
  if (names === undefined) return [...items];
  return names.map((name) => {
    const found = items.find((item) => item.name === name);
    if (found !== undefined) return found;
    throw new OperatorError({
      code: 'USAGE',
      what: `--${option} names '${name}', which there is not`,
      fix: `choose from: ${items.map((item) => item.name).join(', ')}`,
      exitCode: ExitCode.Usage,
    });
  });
}
