/** The shape of a row of the command table, and the answers that several commands give. */
import type { Desk } from './desk.ts';

export interface Command {
  readonly name: string;
  /** For `help`, behind the name. */
  readonly usage: string;
  readonly help: string;
  /** So many words have to follow... */
  readonly least: number;
  /** ...and more may: said in the error. */
  readonly open?: boolean;
  /** Lines follow up to `END`, which are not looked at. */
  readonly multiline?: boolean;
  /** Does not stand in the log: sent all the time. */
  readonly quiet?: boolean;
  /** What follows is not written to the log. */
  readonly secret?: boolean;
  /** The lines of the answer. */
  readonly run: (desk: Desk, words: readonly string[]) => readonly string[];
}

export const END = 'END';
export const success = (text: string): readonly string[] => [`SUCCESS: ${text}`];
export const failure = (text: string): readonly string[] => [`ERROR: ${text}`];
/** There is no tunnel yet, or never a server. */
export const unsupported = (name: string): readonly string[] =>
  failure(`The '${name}' command is not supported by the current daemon mode`);

/** As C's atoi(), which stock reads numbers with: 0 for what is none. */
export function atoi(word: string): number {
  const value = Number.parseInt(word, 10);
  return Number.isNaN(value) ? 0 : value;
}
