/** The bench of this checkout: `node bench/run.mjs --only tcp1 --contenders stock,tsvpn --seconds 4 --repeat 3`. */
import { fileURLToPath } from 'node:url';
import { main } from '../dist/cli/main.js';

// What `tsvpn bench` starts as tsvpn is the program it was called as.
process.argv[1] = fileURLToPath(new URL('../bin/tsvpn', import.meta.url));
process.exit(await main(['bench', ...process.argv.slice(2)]));
