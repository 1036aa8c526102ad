/** Colour for terminals: off for pipes, NO_COLOR (any non-empty value, no-color.org) and TERM=dumb. */

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export type Colour = keyof typeof CODES;

/** Wraps `text` in the escape codes of `colour`, or returns it unchanged when colour is off. */
export type Paint = (colour: Colour, text: string) => string;

export const plain: Paint = (_colour, text) => text;

const ansi: Paint = (colour, text) => `\u001b[${CODES[colour]}m${text}\u001b[0m`;

function wantsColour(isTty: boolean, env: NodeJS.ProcessEnv): boolean {
  return isTty && !env.NO_COLOR && env.TERM !== 'dumb';
}

export function painter(isTty: boolean, env: NodeJS.ProcessEnv): Paint {
  return wantsColour(isTty, env) ? ansi : plain;
}
