/**
 * Measures several tunnels in turn, so that a machine that becomes slower or faster does so for all of them: within
 * one repetition every contender is measured once, and each repetition begins with another contender.
 */
import { OperatorError } from '../errors.ts';
import type { Contender } from './contenders.ts';
import type { Measurement, Reading, Scale } from './measurements.ts';
import type { Part } from './plan.ts';
import type { Failure, Sample } from './results.ts';
import type { Testbed } from './testbed.ts';
import { startTunnel, stopTunnel, type Tunnel } from './tunnel.ts';

export interface Progress {
  /** Something lasting has begun, or something has gone wrong. */
  say(line: string): void;
  /** One measurement of one contender is done. */
  done(measurement: string, contender: string, readings: readonly Reading[]): void;
}

/** What the run has yielded so far. */
export interface Outcome {
  readonly samples: Sample[];
  readonly failures: Failure[];
}

/** Starts all tunnels, measures, and stops them; a contender or sample that fails is reported among the failures. */
export async function measureInTurn(
  testbed: Testbed,
  { contenders, measurements }: Part,
  scale: Scale,
  outcome: Outcome,
  progress: Progress,
): Promise<void> {
  const tunnels: Tunnel[] = [];
  try {
    for (const [index, contender] of contenders.entries()) {
      progress.say(`starting ${contender.title}`);
      const tunnel = await startOrReport(testbed, index + 1, contender, outcome, progress);
      if (tunnel !== undefined) tunnels.push(tunnel);
    }
    for (const measurement of measurements) {
      progress.say(`measuring ${measurement.title}`);
      for (let repetition = 0; repetition < repetitions(measurement, scale); repetition++) {
        for (const tunnel of rotated(tunnels, repetition)) {
          await measureOnce(tunnel, measurement, repetition, scale, outcome, progress);
        }
      }
    }
  } finally {
    await Promise.all(tunnels.map(stopTunnel));
  }
}

/** Samples that are taken of each contender. */
export function repetitions({ once }: Measurement, { repeat }: Scale): number {
  return once === true ? 1 : repeat;
}

async function startOrReport(
  testbed: Testbed,
  number: number,
  contender: Contender,
  outcome: Outcome,
  progress: Progress,
): Promise<Tunnel | undefined> {
  try {
    return await startTunnel(testbed, number, contender);
  } catch (error) {
    testbed.signal.throwIfAborted();
    outcome.failures.push({ measurement: 'start', contender: contender.name, why: reasonOf(error) });
    progress.say(reasonOf(error));
    return undefined;
  }
}

async function measureOnce(
  tunnel: Tunnel,
  measurement: Measurement,
  repetition: number,
  scale: Scale,
  outcome: Outcome,
  progress: Progress,
): Promise<void> {
  const names = { measurement: measurement.name, contender: tunnel.contender.name };
  try {
    const readings = await measurement.run(tunnel, scale);
    for (const reading of readings) outcome.samples.push({ ...names, repetition, ...reading });
    progress.done(names.measurement, names.contender, readings);
  } catch (error) {
    tunnel.testbed.signal.throwIfAborted();
    if (error instanceof OperatorError) throw error;
    outcome.failures.push({ ...names, why: reasonOf(error) });
    progress.say(`${names.contender}: ${reasonOf(error)}`);
  }
}

/** The same items, beginning with another one. */
export function rotated<Item>(items: readonly Item[], by: number): Item[] {
  const at = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

/** What went wrong, for the list of failures. */
export function reasonOf(error: unknown): string {
  if (error instanceof OperatorError) return [error.what, error.why].filter(Boolean).join('\n');
  return error instanceof Error ? error.message : String(error);
}
