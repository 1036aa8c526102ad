/** The configs of examples/, which the tests run as they are. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const EXAMPLES = join(import.meta.dirname, '../../examples');

export function example(folder: string, file: string): string {
  return readFileSync(join(EXAMPLES, folder, file), 'utf8');
}

/** The key files a config names. */
export function keyFilesOf(config: string): string[] {
  return [...config.matchAll(/^secret (\S+)/gm)].map(([, file]) => file);
}
