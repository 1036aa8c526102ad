/**
 * Measures several tunnels in turn, so that a machine that becomes slower or faster does so for all of them: within
 * one repetition every contender is measured once, and each repetition begins with another contender.
 */
import { OperatorError } from '../errors.ts';
import type { Contender } from './contenders.ts';
import type { Measurement, Scale } from './measurements.ts';
import type { Failure, Sample } from './results.ts';
import type { Testbed } from './testbed.ts';
import { startTunnel, stopTunnel, type Tunnel } from './tunnel.ts';

export interface Progress {
  /** Something lasting has begun. */
  say(line: string): void;
  /** One sample of `total` is done. */
  step(sample: Sample): void;
}

export interface Outcome {
  readonly samples: Sample[];
  readonly failures: Failure[];
}

/** Starts all tunnels, measures, and stops them; a contender or sample that fails is reported among the failures. */
export async function measureInTurn(
  testbed: Testbed,
  contenders: readonly Contender[],
  measurements: readonly Measurement[],
  scale: Scale,
  progress: Progress,
): Promise<Outcome> {
  const outcome: Outcome = { samples: [], failures: [] };
  const tunnels: Tunnel[] = [];
  try {
    for (const [index, contender] of contenders.entries()) {
      progress.say(`starting ${contender.title}`);
      try {
        tunnels.push(await startTunnel(testbed, index + 1, contender));
      } catch (error) {
        testbed.signal.throwIfAborted();
        outcome.failures.push({ measurement: 'start', contender: contender.name, why: reason(error) });
      }
    }
    for (const measurement of measurements) {
      for (let repetition = 0; repetition < (measurement.once ? 1 : scale.repeat); repetition++) {
        for (const tunnel of rotated(tunnels, repetition)) {
          await measureOnce(tunnel, measurement, repetition, scale, outcome, progress);
        }
      }
    }
    return outcome;
  } finally {
    await Promise.all(tunnels.map(stopTunnel));
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
    for (const reading of await measurement.run(tunnel, scale)) {
      const sample = { ...names, repetition, ...reading };
      outcome.samples.push(sample);
      progress.step(sample);
    }
  } catch (error) {
    tunnel.testbed.signal.throwIfAborted();
    if (error instanceof OperatorError) throw error;
    outcome.failures.push({ ...names, why: reason(error) });
    progress.say(`${names.contender}: ${reason(error)}`);
  }
}

function rotated<Item>(items: readonly Item[], by: number): Item[] {
  const at = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

function reason(error: unknown): string {
  if (error instanceof OperatorError) return [error.what, error.why].filter(Boolean).join('\n');
  return error instanceof Error ? error.message : String(error);
}
