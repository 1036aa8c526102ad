/**
 * What a command is. The table of commands (commands.ts) drives parsing, help, typo suggestions and the tests that
 * run every example through the parser.
 */
import type { ExitCode } from '../errors.ts';
import type { Paint } from '../control/colour.ts';

/** Where a command writes: results to stdout, everything else to stderr. */
export interface Io {
  /** Writes a result; a line feed is the caller's. */
  out(text: string): void;
  /** Writes a message; a line feed is the caller's. */
  err(text: string): void;
  readonly paintOut: Paint;
  readonly paintErr: Paint;
  readonly outIsTty: boolean;
  /** The reader of stdout has gone away: further results are for nobody. */
  readonly readerGone: boolean;
  readonly env: NodeJS.ProcessEnv;
}

export interface OptionSpec {
  readonly type: 'boolean' | 'string';
  readonly short?: string;
  /** Placeholder of a string option's value in help. */
  readonly value?: string;
  /** The value meant when a string option is given without one (`--wait` is `--wait=30`). */
  readonly bare?: string;
  /** May be given more than once. */
  readonly multiple?: boolean;
  readonly help: string;
}

interface Example {
  /** A complete command line; a test parses it. */
  readonly line: string;
  readonly does: string;
}

/** A parsed command line. Values are checked for presence only; what they mean is the command's business. */
export interface Invocation {
  readonly operands: readonly string[];
  /** Config directives with their words, as on OpenVPN's command line: `--verb`, `4`. */
  readonly directives: readonly string[];
  flag(name: string): boolean;
  value(name: string): string | undefined;
  values(name: string): readonly string[];
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** Without the program's name: `up FILE [options]`. */
  readonly usage: readonly string[];
  readonly operands: { readonly min: number; readonly max: number };
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** Takes directives of a config as options, too. */
  readonly takesDirectives?: boolean;
  readonly examples: readonly Example[];
  /** Further paragraphs of the help. */
  readonly notes?: string;
  run(invocation: Invocation, io: Io): Promise<ExitCode>;
}
