/** The directive table as documentation: docs/directives.md, and `tsvpn help NAME` on the terminal. */
import { findDirective, SECTIONS } from './directives.ts';
import { synopsis, usageLines } from './directives/spec.ts';
import type { Answer, DirectiveSpec, Section } from './directives/spec.ts';

const INTRO = `# Directives

<!-- Written by scripts/docs.mjs from the directive table in src/config/directives; do not edit. -->

tsvpn reads the config files of OpenVPN's static-key mode. This page lists every directive OpenVPN knows, those of tsvpn
itself, and what tsvpn does with them: *supported* ones do what they do in OpenVPN; those *refused* are errors that name the line; *accepted without effect* ones are there so that an existing file keeps working. A directive that is not
on this page is an error, unless \`setenv opt\`, \`ignore-unknown-option\` or \`setenv FORWARD_COMPATIBLE 1\` says otherwise.

\`tsvpn help NAME\` prints one entry, \`tsvpn check FILE\` applies them to a file.
`;

/** Text in a Markdown table cell. */
export function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

export function code(text: string): string {
  return `\`${text.replaceAll('|', '\\|')}\``;
}

function withStatus(section: Section, status: Answer['status']): DirectiveSpec[] {
  return section.directives.filter((spec) => spec.answer.status === status);
}

/** Ranges of the arguments: `SECONDS: 0 to 600`. */
function domains(spec: DirectiveSpec): string[] {
  return spec.args.filter((arg) => arg.domain !== '').map((arg) => `${arg.label}: ${arg.domain}`);
}

function supportedRow(spec: DirectiveSpec): string {
  const also = spec.aliases.length === 0 ? '' : ` Also ${spec.aliases.map(code).join(', ')}.`;
  const ranges = domains(spec);
  const rangeText = ranges.length === 0 ? '' : ` (${ranges.join('; ')})`;
  const usage = spec.forms.length === 1 ? spec.forms[0] : synopsis(spec);
  return `| ${code(usage)} | ${cell(spec.preset ?? '')} | ${cell(spec.help + rangeText)}${also} |`;
}

function adviceOf(answer: Answer): string {
  if (answer.status === 'ignored') return answer.warning ?? '';
  return answer.status === 'refused' ? `${answer.why}: ${answer.fix}` : '';
}

export function table(head: readonly string[], rows: readonly string[]): string {
  return [`| ${head.join(' | ')} |`, `|${head.map(() => ' --- ').join('|')}|`, ...rows].join('\n');
}

function otherTable(title: string, specs: readonly DirectiveSpec[], last: string): string {
  const rows = specs.map(
    (spec) => `| ${code(spec.name)} | ${cell(spec.help)} | ${cell(adviceOf(spec.answer))} |`,
  );
  return `### ${title}\n\n${table(['Directive', 'What it is', last], rows)}\n`;
}

/** TLS directives all get the same answer; a list says it once. */
function tlsList(specs: readonly DirectiveSpec[]): string {
  const names = specs.map((spec) => code(spec.name)).join(', ');
  return `### Refused: this is a TLS config; tsvpn speaks static key\n\n${names}\n`;
}

function renderSection(section: Section): string {
  const supported = withStatus(section, 'supported');
  const ignored = withStatus(section, 'ignored');
  const refused = withStatus(section, 'refused');
  const tls = refused.filter(({ answer }) => answer.status === 'refused' && answer.tls);
  const others = refused.filter((spec) => !tls.includes(spec));
  const parts = [`## ${section.title}\n`];
  if (section.intro !== undefined) parts.push(`${section.intro}\n`);
  if (supported.length > 0) {
    parts.push(`${table(['Directive', 'Default', 'Meaning'], supported.map(supportedRow))}\n`);
  }
  if (ignored.length > 0) parts.push(otherTable('Accepted without effect', ignored, 'Warning'));
  if (tls.length > 0) parts.push(tlsList(tls));
  if (others.length > 0) parts.push(otherTable('Refused', others, 'Why, and what to do'));
  return parts.join('\n');
}

/** The whole table as Markdown. */
export function renderDirectiveDocs(): string {
  return [INTRO, ...SECTIONS.map(renderSection)].join('\n');
}

function describeAnswer(answer: Answer): string {
  switch (answer.status) {
    case 'supported':
      return 'Supported.';
    case 'ignored':
      return `Accepted without effect${answer.warning === undefined ? '' : `: ${answer.warning}`}.`;
    case 'refused':
      return `Refused: ${answer.why}.\nWhat to do: ${answer.fix}.`;
  }
}

/** Plain text about one directive for the terminal, or undefined for an unknown name. */
export function describeDirective(name: string): string | undefined {
  const spec = findDirective(name);
  if (spec === undefined) return undefined;
  const lines = [...usageLines(spec), '', `  ${spec.help}`, ''];
  for (const domain of domains(spec)) lines.push(`  ${domain}`);
  if (spec.preset !== undefined) lines.push(`  Default: ${spec.preset}`);
  if (spec.aliases.length > 0) lines.push(`  Also written: ${spec.aliases.join(', ')}`);
  if (lines.at(-1) !== '') lines.push('');
  lines.push(describeAnswer(spec.answer).replaceAll(/^/gm, '  '));
  return `${lines.join('\n')}\n`;
}

/** Supported directives with `word` in their name, or as a word in what is said about them. */
export function directivesAbout(word: string): string[] {
  const wanted = word.toLowerCase();
  return SECTIONS.flatMap((section) => withStatus(section, 'supported')).flatMap(({ name }) => {
    const words = describeDirective(name)
      ?.toLowerCase()
      .split(/[^a-z0-9-]+/);
    return name.includes(wanted) || words?.includes(wanted) ? [name] : [];
  });
}
