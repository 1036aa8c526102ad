import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseGateway } from '../../src/config/load.ts';
import { occOptions } from '../../src/gateway/settings.ts';
import { buildOccOptions, compareOccOptions, expectedPeerOptions } from '../../src/protocol/occ-options.ts';

const CONFIGS = new URL('../behaviour/configs/', import.meta.url).pathname;
const setups = readdirSync(CONFIGS, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
);
/** What `config key.conf` finds. */
const KEY = { bytes: Buffer.from('<secret>\nkey\n</secret>\n'), mode: 0o100600 };

function optionsOf(setup: string, side: 'a' | 'b') {
  const path = join(CONFIGS, setup, `${side}.conf`);
  const text = readFileSync(path, 'utf8');
  const { config } = parseGateway([{ text, file: path }], { cwd: dirname(path), read: () => KEY });
  return occOptions(config.peers[0]);
}

describe('configs that operators find', () => {
  it.each(setups)('are read, and the two ends agree: %s', (setup) => {
    const [a, b] = [optionsOf(setup, 'a'), optionsOf(setup, 'b')];
    expect(compareOccOptions(expectedPeerOptions(a), buildOccOptions(b))).toEqual([]);
    expect(compareOccOptions(expectedPeerOptions(b), buildOccOptions(a))).toEqual([]);
  });
});
