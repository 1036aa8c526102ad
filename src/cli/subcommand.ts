/** Commands with a word of their own behind the name, as `tsvpn route add`. */
import { nearest } from '../config/nearest.ts';
import { usageError } from './arguments.ts';

/** Finds the word among `known`. Throws a usage error that suggests the nearest. */
export function subcommand<Name extends string>(command: string, word: string, known: readonly Name[]): Name {
  const found = known.find((name) => name === word);
  if (found !== undefined) return found;
  const guess = nearest(word, known);
  const all = `see \`tsvpn ${command} --help\``;
  throw usageError(
    `tsvpn ${command} knows no '${word}'`,
    guess === undefined
      ? `use one of ${known.join(', ')}; ${all}`
      : `did you mean \`tsvpn ${command} ${guess}\`? ${all}`,
  );
}

/** Checks how many words are behind the subcommand. Throws a usage error. */
export function expectWords(words: readonly string[], min: number, max: number, usage: string): void {
  if (words.length >= min && words.length <= max) return;
  const what =
    words.length < min
      ? `${min - words.length} more argument${min - words.length === 1 ? ' is' : 's are'} needed`
      : `unexpected argument '${words[max]}'`;
  throw usageError(what, `usage: tsvpn ${usage}`);
}
