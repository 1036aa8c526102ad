/** What a bench inside this process is: no root, no network, no second process. */
import type { Reading, Scale } from './measurements.ts';

export interface InProcessReading extends Reading {
  /** What was measured, in the place of a contender. */
  readonly contender: string;
}

export interface InProcessBench {
  /** As given to --only. */
  readonly name: string;
  readonly title: string;
  run(scale: Scale): Iterable<InProcessReading>;
}
