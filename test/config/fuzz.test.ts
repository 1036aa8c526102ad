import fc from 'fast-check';
import { expect, it } from 'vitest';
import { directiveNames } from '../../src/config/directives.ts';
import { parseGateway } from '../../src/config/load.ts';
import { OperatorErrors } from '../../src/errors.ts';
import type { FileContent, FileProblem } from '../../src/config/files.ts';

const noFiles = (): FileContent | FileProblem => ({ problem: 'does not exist' });

/** Anything but OperatorErrors, with at least one error that names a line, fails the property. */
function readsOrExplains(text: string): void {
  try {
    parseGateway([{ text, file: 'peer.conf' }], { read: noFiles, cwd: '/' });
  } catch (error) {
    if (!(error instanceof OperatorErrors)) throw error;
    expect(error.errors.length).toBeGreaterThan(0);
    for (const each of error.errors) {
      expect(each.where?.line).toBeGreaterThan(0);
      expect(each.what).not.toMatch(/[\u0000-\u001f]/);
    }
  }
}

const argument = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.integer({ min: -5, max: 100_000 }).map(String),
  fc.ipV4(),
  fc.ipV6(),
  fc.constantFrom(
    'default',
    'udp',
    'fd00::1/64',
    '255.255.0.0',
    '[inline]',
    'none',
    'opt',
    '"',
    '\\',
    '#',
    "'",
  ),
);

const line = fc.oneof(
  fc
    .tuple(fc.constantFrom(...directiveNames()), fc.array(argument, { maxLength: 4 }))
    .map(([name, args]) => [name, ...args].join(' ')),
  fc.constantFrom(...directiveNames()).map((name) => `<${name}>`),
  fc.constantFrom(...directiveNames()).map((name) => `</${name}>`),
  fc.string({ unit: 'binary', maxLength: 40 }),
);

it('reads or explains any text', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 400 }), readsOrExplains), { numRuns: 300 });
});

it('reads or explains any arrangement of directives and arguments', () => {
  const text = fc.array(line, { maxLength: 12 }).map((lines) => lines.join('\n'));
  fc.assert(fc.property(text, readsOrExplains), { numRuns: 2000 });
});
