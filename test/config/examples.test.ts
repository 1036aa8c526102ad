/** The configs in examples/ load, and the two ends of each tunnel match. */
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { EXAMPLES, example, keyFilesOf } from '../support/examples.ts';
import { loadGateway } from '../../src/config/load.ts';
import { formatStaticKey, generateStaticKey } from '../../src/crypto/static-key.ts';
import { occOptions } from '../../src/gateway/settings.ts';
import { buildOccOptions, compareOccOptions, expectedPeerOptions } from '../../src/protocol/occ-options.ts';

const copy = mkdtempSync(join(tmpdir(), 'tsvpn-examples-'));
cpSync(EXAMPLES, copy, { recursive: true });
afterAll(() => rmSync(copy, { recursive: true }));

const folders = readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory());

describe('examples', () => {
  it.each(folders.map(({ name }) => name))(
    '%s: all files load, and the two ends of each key agree',
    (folder) => {
      const directory = join(copy, folder);
      const files = readdirSync(directory).filter((file) => file.endsWith('.conf'));
      const keys = new Set(files.flatMap((file) => keyFilesOf(example(folder, file))));
      for (const key of keys)
        writeFileSync(join(directory, key), formatStaticKey(generateStaticKey()), { mode: 0o600 });
      const peers = files.flatMap(
        (file) => loadGateway([join(directory, file)], { cwd: directory }).config.peers,
      );
      expect(peers).toHaveLength(2 * keys.size);
      for (const key of keys) {
        const ends = peers.filter(
          ({ key: { source } }) => source.kind === 'file' && basename(source.path) === key,
        );
        expect(ends).toHaveLength(2);
        const [ours, theirs] = ends.map((end) => occOptions(end));
        expect(compareOccOptions(expectedPeerOptions(ours), buildOccOptions(theirs))).toEqual([]);
      }
    },
  );
});
