/** Entry of the command line: finds the command, parses its words, runs it, and turns what it throws into an exit code. */
import { existsSync } from 'node:fs';
import { findDirective } from '../config/directives.ts';
import { nearest } from '../config/nearest.ts';
import { VERSION } from '../control/version.ts';
import { ExitCode } from '../errors.ts';
import { asksForHelp, parseArguments, usageError } from './arguments.ts';
import type { Command, Io } from './command.ts';
import { COMMANDS } from './commands.ts';
import { commandHelp, generalHelp } from './help.ts';
import { runOpenVpnCommand } from './openvpn-commands.ts';
import { runAsOpenVpn } from './up.ts';
import { processIo } from './io.ts';
import { exitCodeOf, renderError, renderErrorJson } from './render-error.ts';

/** Runs `args` (the words after the program's name) and returns the exit code; never throws. */
export async function main(args: readonly string[], io: Io = processIo()): Promise<ExitCode> {
  try {
    return await dispatch(args, io);
  } catch (error) {
    const json = args.includes('--json');
    io.err(json ? renderErrorJson(error) : renderError(error, io.paintErr));
    return exitCodeOf(error);
  }
}

async function dispatch(args: readonly string[], io: Io): Promise<ExitCode> {
  const [word, ...rest] = args;
  if (word === undefined) {
    io.err(generalHelp(COMMANDS, io.paintErr));
    return ExitCode.Usage;
  }
  if (word === '--help' || word === '-h') {
    io.out(generalHelp(COMMANDS, io.paintOut));
    return ExitCode.Ok;
  }
  if (word === '--version' || word === '-V') {
    io.out(`tsvpn ${VERSION}\n`);
    return ExitCode.Ok;
  }
  if (word.startsWith('--') && findDirective(word.slice(2)) !== undefined)
    return (await runOpenVpnCommand(args, io)) ?? runAsOpenVpn(args, io);
  const command = findCommand(word);
  if (asksForHelp(rest)) {
    io.out(commandHelp(command, io.paintOut));
    return ExitCode.Ok;
  }
  return command.run(parseArguments(command, rest), io);
}

function findCommand(word: string): Command {
  const found = COMMANDS.find((command) => command.name === word);
  if (found !== undefined) return found;
  const kind = word.startsWith('-') ? 'option' : 'command';
  throw usageError(`unknown ${kind} '${word}'`, suggestion(word));
}

function suggestion(word: string): string {
  const all = 'see `tsvpn --help` for all commands';
  const guess = nearest(
    word.replace(/^-+/, ''),
    COMMANDS.map((command) => command.name),
  );
  if (guess !== undefined) return `did you mean \`tsvpn ${guess}\`? ${all}`;
  if (existsSync(word)) return `to run the tunnel of that file: tsvpn up ${word}`;
  return all;
}
