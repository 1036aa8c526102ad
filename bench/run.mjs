/**
 * The bench of this checkout: `tsvpn bench` after compiling, with the report in bench/results and the ratios compared
 * with bench/baseline.json unless the words say otherwise.
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
const usual = ['--out', results, '--baseline', here('baseline.json')];
const code = await main(['bench', ...usual, ...process.argv.slice(2)]);
giveToOwner(results);
process.exit(code);

/** `sudo npm run bench` leaves no files of root in a user's clone. */
function giveToOwner(folder) {
  const { uid, gid } = owner();
  if (uid === undefined || !existsSync(folder)) return;
  for (const path of [folder, ...readdirSync(folder).map((name) => join(folder, name))])
    chownSync(path, uid, gid);
}
