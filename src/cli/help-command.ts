/** `tsvpn help`: the same texts as --help, the exit codes, and what each config directive means. */
import { directiveNames } from '../config/directives.ts';
import { describeDirective, directivesAbout } from '../config/docs.ts';
import { nearest } from '../config/nearest.ts';
import { ExitCode } from '../errors.ts';
import { usageError } from './arguments.ts';
import type { Command } from './command.ts';
import { renderExitCodes } from './exit-codes.ts';
import { commandHelp, generalHelp } from './help.ts';

const EXIT_CODES_TOPIC = 'exit-codes';
/** Of a word that many have to do with. */
const MAX_DIRECTIVES = 12;

/** Made from the other commands, so that the table of commands need not import itself. */
export function helpCommand(others: readonly Command[]): Command {
  const help: Command = {
    name: 'help',
    summary: 'explain a command, a config directive, or the exit codes',
    usage: ['help [COMMAND | DIRECTIVE | exit-codes]'],
    operands: { min: 0, max: 1 },
    options: {},
    examples: [
      { line: 'tsvpn help up', does: 'explain `tsvpn up`' },
      { line: 'tsvpn help keepalive', does: 'explain the config directive `keepalive`' },
      { line: 'tsvpn help exit-codes', does: 'list the exit codes' },
    ],
    async run({ operands: [topic] }, io) {
      const commands = [...others, help];
      const command = commands.find(({ name }) => name === topic);
      if (topic === undefined) io.out(generalHelp(commands, io.paintOut));
      else if (topic === EXIT_CODES_TOPIC) io.out(renderExitCodes());
      else if (command === undefined) io.out(describeDirective(topic) ?? unknownTopic(topic, commands));
      else io.out(commandHelp(command, io.paintOut) + namesake(topic));
      return ExitCode.Ok;
    },
  };
  return help;
}

/** `nat`, `route` and `status` are directives, too. */
function namesake(topic: string): string {
  const directive = describeDirective(topic);
  return directive === undefined ? '' : `\nIn a config file:\n\n${directive}`;
}

function unknownTopic(topic: string, commands: readonly Command[]): never {
  const about = directivesAbout(topic);
  if (about.length > 0) {
    const shown = about.slice(0, MAX_DIRECTIVES);
    const more = about.length > shown.length ? ' and others (docs/directives.md)' : '';
    throw usageError(
      `there is no help on '${topic}' alone`,
      `directives that have to do with it: ${shown.join(', ')}${more}; \`tsvpn help ${about[0]}\` explains the first`,
    );
  }
  const topics = [...commands.map(({ name }) => name), EXIT_CODES_TOPIC];
  const guess = nearest(topic, [...topics, ...directiveNames()]);
  const fix = guess === undefined ? `topics: ${topics.join(', ')}` : `did you mean \`tsvpn help ${guess}\`?`;
  throw usageError(`there is no help on '${topic}'`, fix);
}
