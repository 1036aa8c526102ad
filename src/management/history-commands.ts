/** `state`, `log` and `echo`: up to two words, each one of `on`, `off`, `all` and a number of lines, obeyed in order. */
import { atoi, END, failure, success, type Command } from './command.ts';
import type { Desk } from './desk.ts';
import type { History } from './history.ts';

const MOST_WORDS = 2;

function obey(history: History, word: string): readonly string[] {
  if (word === 'on' || word === 'off') {
    history.live = word === 'on';
    return success(`real-time ${history.name} notification set to ${word.toUpperCase()}`);
  }
  const count = word === 'all' ? undefined : atoi(word);
  if (count === undefined || count > 0) return [...history.last(count), END];
  return failure(`${history.name} parameter must be 'on' or 'off' or some number n or 'all'`);
}

function command(of: (desk: Desk) => History, name: string, help: string): Command {
  return {
    name,
    usage: '[on|off] [N|all]',
    help,
    least: 1,
    open: true,
    run: (desk, words) => words.slice(0, MOST_WORDS).flatMap((word) => obey(of(desk), word)),
  };
}

const state = command(
  (desk) => desk.states,
  'state',
  'States: tell each new one (on, off), show the last N or all.',
);

export const HISTORY_COMMANDS: readonly Command[] = [
  {
    ...state,
    least: 0,
    run: (desk, words) => (words.length === 0 ? [...desk.states.last(1), END] : state.run(desk, words)),
  },
  command((desk) => desk.log, 'log', 'The log: tell each new line (on, off), show the last N or all.'),
  command((desk) => desk.echo, 'echo', 'As `log`, of the `echo` lines of the config.'),
];
