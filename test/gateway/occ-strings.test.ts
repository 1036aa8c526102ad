import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseGateway } from '../../src/config/load.ts';
import { occOptions } from '../../src/gateway/settings.ts';
import { buildOccOptions, compareOccOptions, expectedPeerOptions } from '../../src/protocol/occ-options.ts';

interface OccCase {
  readonly config: readonly string[];
  readonly local: string;
  readonly expected: string;
}

const file = new URL('../behaviour/occ-strings.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: readonly OccCase[] };

const COMMON = /^(?:dev tun|secret static\.key|cipher AES-256-CBC|ifconfig 10\.254\.0\.1 10\.254\.0\.2)$/;
const rows = cases.map((each) => {
  const own = each.config.filter((line) => !COMMON.test(line));
  return { title: own.length === 0 ? 'nothing special' : own.join(', '), ...each };
});

function optionsOf({ config }: OccCase) {
  return occOptions(parseGateway([{ text: config.join('\n'), file: 'x.conf' }]).config.peers[0]);
}

describe('the option string is that of stock 2.6.14, byte for byte', () => {
  it.each(rows)('$title', (row) => {
    const options = optionsOf(row);
    expect(buildOccOptions(options)).toBe(row.local);
    expect(expectedPeerOptions(options)).toBe(row.expected);
  });
});

it('an end that sends what stock expects is found consistent', () => {
  for (const row of rows)
    expect(compareOccOptions(expectedPeerOptions(optionsOf(row)), row.expected)).toEqual([]);
});
