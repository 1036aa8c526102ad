/**
 * Fills in the outputs shown in README.md: after each `<!-- run: COMMAND -->` the next text block becomes what the
 * command prints. Run as root after a build: node scripts/readme.mjs
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const readme = new URL('../README.md', import.meta.url);

const filled = readFileSync(readme, 'utf8').replaceAll(
  /(<!-- run: (?:sudo )?(.+?) -->\n+```text\n)[\s\S]*?(```)/g,
  (_block, head, command, tail) => {
    const output = execFileSync('sh', ['-c', command], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, NO_COLOR: '1' },
    });
    return `${head}${output.trimEnd()}\n${tail}`;
  },
);
writeFileSync(readme, filled);
