/**
 * The shape of one row of the directive table. The table is the only place that knows a directive: the parser, the
 * checks of arguments, `tsvpn help NAME` and docs/directives.md all read it.
 */
import type { Argument, Values } from '../arguments.ts';
import type { Draft } from '../draft.ts';
import type { Line } from '../lexer.ts';

/**
 * What tsvpn does with a directive.
 * - supported: does what OpenVPN does
 * - ignored: accepted without effect, with a warning when the operator may have counted on it
 * - refused: has no place in a static-key tunnel's config
 */
export type Answer =
  | { readonly status: 'supported'; readonly apply: (draft: Draft, values: never, line: Line) => void }
  | { readonly status: 'ignored'; readonly warning: string | undefined }
  | { readonly status: 'refused'; readonly tls: boolean; readonly why: string; readonly fix: string };

export interface DirectiveSpec {
  readonly name: string;
  /** Other names that mean the same. */
  readonly aliases: readonly string[];
  readonly args: readonly Argument<unknown>[];
  /** The value without the directive, for the documentation. */
  readonly preset: string | undefined;
  /** One sentence. */
  readonly help: string;
  /** `<name>` ... `</name>` is allowed. */
  readonly block: boolean;
  /** Belongs to the gateway as a whole: not inside a `<peer>` block. */
  readonly shared: boolean;
  /** How the line is written, when `args` do not tell. */
  readonly forms: readonly string[];
  /** What is not as in OpenVPN 2.6, for docs/openvpn-compatibility.md; undefined when nothing is, or when `answer` tells. */
  readonly difference: string | undefined;
  readonly answer: Answer;
}

export interface Section {
  readonly title: string;
  /** Markdown under the title. */
  readonly intro?: string;
  readonly directives: readonly DirectiveSpec[];
}

interface Extras {
  readonly aliases?: readonly string[];
  readonly preset?: string;
  readonly block?: boolean;
  readonly shared?: boolean;
  readonly forms?: readonly string[];
  readonly difference?: string;
}

function row(
  name: string,
  help: string,
  answer: Answer,
  args: DirectiveSpec['args'],
  extras: Extras,
): DirectiveSpec {
  const { aliases = [], preset, block = false, shared = false, forms = [], difference } = extras;
  return { name, aliases, args, preset, help, block, shared, forms, difference, answer };
}

export function supported<const A extends readonly Argument<unknown>[]>(
  name: string,
  args: A,
  help: string,
  apply: (draft: Draft, values: Values<A>, line: Line) => void,
  extras: Extras = {},
): DirectiveSpec {
  return row(name, help, { status: 'supported', apply }, args, extras);
}

/** Accepted without effect; `warning` continues the sentence "NAME has no effect: ...". */
export function ignored(name: string, help: string, warning?: string, difference?: string): DirectiveSpec {
  return row(name, help, { status: 'ignored', warning }, [], difference === undefined ? {} : { difference });
}

export function refused(name: string, help: string, why: string, fix: string): DirectiveSpec {
  return row(name, help, { status: 'refused', tls: false, why, fix }, [], {});
}

/** A directive of TLS mode. */
export function tlsOnly(name: string, help: string, difference?: string): DirectiveSpec {
  const why = 'this is a TLS config; tsvpn speaks static key';
  const fix = 'use a config with `secret` on both ends (`tsvpn init` writes a pair), or run openvpn for TLS';
  const extras = difference === undefined ? { block: true } : { block: true, difference };
  return row(name, help, { status: 'refused', tls: true, why, fix }, [], extras);
}

/** All ways to write a line. */
export function usageLines(spec: DirectiveSpec): readonly string[] {
  return spec.forms.length === 0 ? [synopsis(spec)] : spec.forms;
}

/** `name ARG [ARG]`, as in a manual page's synopsis. */
export function synopsis(spec: DirectiveSpec): string {
  const args = spec.args.map((arg) => {
    const label = arg.rest ? `${arg.label}...` : arg.label;
    return arg.optional ? `[${label}]` : label;
  });
  return [spec.name, ...args].join(' ');
}
