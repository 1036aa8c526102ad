/** Help texts, made from the command table: examples first. */
import type { Paint } from '../control/colour.ts';
import type { Command, OptionSpec } from './command.ts';

const HELP_OPTION: readonly [string, OptionSpec] = [
  'help',
  { type: 'boolean', short: 'h', help: 'show this help' },
];

function optionLabel(name: string, spec: OptionSpec): string {
  const short = spec.short === undefined ? '    ' : `-${spec.short}, `;
  const value = spec.value ?? 'VALUE';
  if (spec.type === 'boolean') return `${short}--${name}`;
  return spec.bare === undefined ? `${short}--${name} ${value}` : `${short}--${name}[=${value}]`;
}

/** Two columns, the left one as wide as its widest entry. */
function columns(rows: readonly (readonly [left: string, right: string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  const indent = ' '.repeat(width + 4);
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right.replaceAll('\n', `\n${indent}`)}`);
}

export function commandHelp(command: Command, paint: Paint): string {
  const options = [...Object.entries(command.options), HELP_OPTION];
  const section = (title: string, lines: readonly string[]) => [paint('bold', title), ...lines, ''];
  return [
    `tsvpn ${command.name}: ${command.summary}`,
    '',
    ...section(
      'Examples:',
      command.examples.flatMap(({ line, does }) => [`  ${paint('cyan', line)}`, `      ${does}`]),
    ),
    ...section(
      'Usage:',
      command.usage.map((usage) => `  tsvpn ${usage}`),
    ),
    ...section('Options:', columns(options.map(([name, spec]) => [optionLabel(name, spec), spec.help]))),
    ...(command.notes === undefined ? [] : [command.notes, '']),
  ].join('\n');
}

export function generalHelp(commands: readonly Command[], paint: Paint): string {
  return [
    'tsvpn: a userspace VPN gateway that speaks OpenVPN static-key mode',
    '',
    paint('bold', 'Examples:'),
    `  ${paint('cyan', 'sudo tsvpn lab')}`,
    '      try it: two sites and a tunnel between them, on this machine alone',
    `  ${paint('cyan', 'sudo tsvpn up site-a.conf')}`,
    '      run a tunnel from an OpenVPN static-key config',
    '',
    paint('bold', 'Commands:'),
    ...columns(commands.map((command) => [command.name, command.summary])),
    '',
    '`tsvpn COMMAND --help` explains one command, `tsvpn help exit-codes` the exit codes.',
    '',
  ].join('\n');
}
