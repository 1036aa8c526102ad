/** What a bench inside this process is: no root, no network, no second process. */
import type { Reading, Scale } from './measurements.ts';
import type { Values } from './metrics.ts';
import { rotated } from './round-robin.ts';

export interface InProcessReading extends Reading {
  /** What was measured, in the place of a contender. */
  readonly contender: string;
  /** Counts from 0, which it is when left out. */
  readonly repetition?: number;
}

export interface InProcessBench {
  /** As given to --only. */
  readonly name: string;
  readonly title: string;
  run(scale: Scale): Iterable<InProcessReading>;
}

export interface Turn {
  readonly contender: string;
  /** One short measurement. */
  readonly run: () => Values;
}

/**
 * Lets contenders take turns, so that whatever else the machine does meanwhile it does to all of them: medians of many
 * short turns can be compared on a busy machine.
 */
export function* inTurn(contenders: readonly Turn[], turns: number): Generator<InProcessReading> {
  for (let repetition = 0; repetition < turns; repetition++) {
    for (const { contender, run } of rotated(contenders, repetition)) {
      yield { contender, repetition, values: run() };
    }
  }
}
