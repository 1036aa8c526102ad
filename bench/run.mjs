/**
 * The bench of this checkout: `tsvpn bench` after compiling, its ratios compared with bench/baseline.json. The report
 * goes to bench/results, unless the words say otherwise or choose a part: a part does not take the place of the whole.
 *
 *     node bench/run.mjs --only tcp1 --contenders stock,tsvpn --seconds 4 --repeat 3
 */
import { chownSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, owner } from '../scripts/build.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const results = here('results');

build();
const { main } = await import('../dist/cli/main.js');
// What `tsvpn bench` starts as tsvpn is the program it was called as.
process.argv[1] = here('../bin/tsvpn');
const words = process.argv.slice(2);
const isPart = words.some((word) => /^--(only|contenders)\b/.test(word));
const usual = ['--baseline', here('baseline.json'), ...(isPart ? [] : ['--out', results])];
const code = await main(['bench', ...usual, ...words]);
giveToOwner(results);
process.exit(code);

/** `sudo npm run bench` leaves no files of root in a user's clone. */
function giveToOwner(folder) {
  const { uid, gid } = owner();
  if (uid === undefined || !existsSync(folder)) return;
  for (const path of [folder, ...readdirSync(folder).map((name) => join(folder, name))])
    chownSync(path, uid, gid);
}
