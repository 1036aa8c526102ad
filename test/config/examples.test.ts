/** The configs in examples/ load, and the two ends of each pair match. */
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadGateway } from '../../src/config/load.ts';
import { formatStaticKey, generateStaticKey } from '../../src/crypto/static-key.ts';
import { occOptions } from '../../src/gateway/settings.ts';
import { buildOccOptions, compareOccOptions, expectedPeerOptions } from '../../src/protocol/occ-options.ts';

const examples = join(import.meta.dirname, '../../examples');
const copy = mkdtempSync(join(tmpdir(), 'tsvpn-examples-'));
cpSync(examples, copy, { recursive: true });
afterAll(() => rmSync(copy, { recursive: true }));

const folders = readdirSync(examples, { withFileTypes: true }).filter((entry) => entry.isDirectory());

describe('examples', () => {
  it.each(folders.map(({ name }) => name))('%s: both ends load and agree', (folder) => {
    const directory = join(copy, folder);
    writeFileSync(join(directory, 'static.key'), formatStaticKey(generateStaticKey()), { mode: 0o600 });
    const files = readdirSync(directory).filter((file) => file.endsWith('.conf'));
    expect(files).toHaveLength(2);
    const [a, b] = files.map(
      (file) => loadGateway([join(directory, file)], { cwd: directory }).config.peers[0],
    );
    expect(compareOccOptions(expectedPeerOptions(occOptions(a)), buildOccOptions(occOptions(b)))).toEqual([]);
  });
});
