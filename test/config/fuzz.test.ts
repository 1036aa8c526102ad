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

// prettier-ignore
const RULE_WORDS: readonly string[] = [
  'snat', 'dnat', 'none', 'netmap', 'out', 'eth1', 'masquerade', 'to', 'into', 'tunnel', 'from', 'peers', 'peer', 'in',
  'eth0', 'tcp', 'udp', 'icmp', 'proto', 'dport', 'sport', 'src', 'dst', 'local', 'remote', 'as', 'any', '10.0.0.0/8',
  '10.1.0.0/16', '10.0.0.26:80', '[fd00::1]:80', 'fd00::/48', '80', '1-65535', 'metric', 'siteB',
];

/** Words of NAT lines and routes, in any order. */
const ruleWord = fc.oneof(argument, fc.constantFrom(...RULE_WORDS));

const rule = fc
  .tuple(
    fc.constantFrom(
      'nat',
      'nat snat',
      'nat dnat',
      'nat netmap',
      'client-nat',
      'peer-route',
      'allowed-source',
    ),
    fc.array(ruleWord, { maxLength: 14 }),
  )
  .map(([name, words]) => [name, ...words].join(' '));

const line = fc.oneof(
  rule,
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

const BASE = ['dev tun', 'secret k', 'cipher AES-256-CBC', 'ifconfig 10.8.0.1 10.8.0.2', 'port 1194'];

it('reads or explains any NAT line and route', () => {
  const text = fc.array(rule, { maxLength: 4 }).map((lines) => [...BASE, ...lines].join('\n'));
  fc.assert(fc.property(text, readsOrExplains), { numRuns: 1000 });
});

it('reads or explains any <peer> block', () => {
  const block = fc
    .array(line, { maxLength: 6 })
    .map((lines) => ['<peer>', 'name siteB', 'secret k2', 'lport 1195', ...lines, '</peer>'].join('\n'));
  const text = fc
    .tuple(fc.array(line, { maxLength: 3 }), fc.array(block, { maxLength: 3 }))
    .map(([lines, blocks]) => [...BASE, ...lines, ...blocks].join('\n'));
  fc.assert(fc.property(text, readsOrExplains), { numRuns: 1000 });
});

it('reads or explains any arrangement of directives and arguments', () => {
  const text = fc.array(line, { maxLength: 12 }).map((lines) => lines.join('\n'));
  fc.assert(fc.property(text, readsOrExplains), { numRuns: 2000 });
});
