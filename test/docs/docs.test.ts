/** What the documents say can be done: links lead somewhere, config lines are read, commands are understood. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseArguments } from '../../src/cli/arguments.ts';
import { findDirective } from '../../src/config/directives.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { errorsOf } from '../support/config.ts';

const inDocs = readdirSync('docs', { recursive: true, encoding: 'utf8' });
const DOCUMENTS = [
  'README.md',
  'ARCHITECTURE.md',
  'SECURITY.md',
  'examples/README.md',
  ...inDocs.filter((file) => file.endsWith('.md')).map((file) => `docs/${file}`),
];

interface Text {
  readonly document: string;
  readonly text: string;
}

const fencePattern = /^```(\w*)\n([\s\S]*?)^```$/gm;

/** Fenced blocks of a language. */
function blocks(language: string): Text[] {
  return DOCUMENTS.flatMap((document) =>
    [...readFileSync(document, 'utf8').matchAll(fencePattern)]
      .filter(([, found]) => found === language)
      .map(([, , text]) => ({ document, text })),
  );
}

function linesOf(texts: readonly Text[]): Text[] {
  return texts.flatMap(({ document, text }) => text.split('\n').map((line) => ({ document, text: line })));
}

/** Code spans, in Markdown tables with their escaped bars. */
function spans(): Text[] {
  return DOCUMENTS.flatMap((document) =>
    [
      ...readFileSync(document, 'utf8')
        .replaceAll(fencePattern, '')
        .matchAll(/`([^`]+)`/g),
    ].map(([, text]) => ({
      document,
      text: text.replaceAll('\\|', '|').replaceAll(/\s+/g, ' '),
    })),
  );
}

test.each(DOCUMENTS)('every link of %s leads somewhere', (document) => {
  const text = readFileSync(document, 'utf8');
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
  const files = targets
    .filter((target) => !/^(?:https?:|#)/.test(target))
    .map((target) => target.split('#')[0]);
  expect(files.filter((file) => !existsSync(join(dirname(document), file)))).toEqual([]);
  const anchors = [...text.matchAll(/^#+ (.+)$/gm)].map(
    ([, title]) =>
      `#${title
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-')}`,
  );
  expect(targets.filter((target) => target.startsWith('#') && !anchors.includes(target))).toEqual([]);
});

const FOLDERS = [
  '',
  'src/',
  'src/engine/',
  'src/nat/',
  'src/kernel/nat/',
  'src/config/',
  'test/nat/',
  'test/engine/',
  'test/netns/',
];

/** Any file of a kind, and what a run writes. */
const NO_FILES = /[A-Z]{2}|results\.json$/;

test.each(DOCUMENTS)('every file that %s names is there', (document) => {
  const named = spans().flatMap(({ document: where, text }) =>
    where === document && /^[\w./-]+\.(?:ts|mjs|md|json)$/.test(text) ? [text] : [],
  );
  const missing = named.filter((name) => FOLDERS.every((folder) => !existsSync(`${folder}${name}`)));
  expect(missing.filter((name) => !NO_FILES.test(name))).toEqual([]);
});

const PEER = `dev tun
cipher AES-256-CBC
secret static.key
name site-b
ifconfig 10.254.0.1 10.254.0.2
`;

describe('config lines', () => {
  test.each(blocks('conf'))('of $document are read: $text', ({ text }) => {
    const whole = text.includes('secret ') ? text : PEER + text;
    expect(errorsOf(whole).map(({ what }) => what)).toEqual([]);
  });

  const directives =
    /^(?:setenv opt )?(?:nat|nat-[a-z-]+|client-nat|peer-route|peer-address|allowed-source|blackhole|unreachable|prohibit|route-fallthrough) /;
  /** Neither a form (`nat none NETWORK`) nor words for people (`nat dnat` lines). */
  const isWhole = (text: string) => !/[A-Z]{2}|\.\.\.|\|/.test(text) && /\d|masquerade/.test(text);
  const lines = [...spans(), ...linesOf(blocks(''))].filter(
    ({ text }) => directives.test(text) && isWhole(text),
  );
  test.each(lines)('in the text of $document are read: $text', ({ text }) => {
    expect(errorsOf(PEER + text).map(({ what }) => what)).toEqual([]);
  });
});

/** What comes behind `tsvpn` in a line; undefined for other lines. */
function commandOf(line: string): string[] | undefined {
  const [, words] = /^(?:\$ )?(?:sudo )?tsvpn ([^#|&]+)/.exec(line) ?? [];
  return words?.trim().split(/\s+/);
}

describe('commands', () => {
  const fenced = ['', 'sh', 'text'].flatMap((language) => linesOf(blocks(language)));
  const commands = [...fenced, ...spans()].filter(({ text }) => commandOf(text) !== undefined);
  test.each(commands)('of $document are understood: $text', ({ text }) => {
    const [name, ...words] = commandOf(text)!;
    if (name.startsWith('--')) return expect(findDirective(name.slice(2)), name).toBeDefined();
    const command = COMMANDS.find((each) => each.name === name);
    expect(command, name).toBeDefined();
    // Without an operand the command is only spoken of.
    if (words.every((word) => word.startsWith('-'))) return;
    expect(() => parseArguments(command!, words)).not.toThrow();
  });
});
