import { execFileSync } from 'node:child_process';

/** Compiles dist/, which `bin/tsvpn` and the worker threads load, unless scripts/test.mjs has just done it. */
export default function setup(): void {
  if (process.env.TSVPN_TEST_BUILT === '1') return;
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], {
    stdio: 'inherit',
  });
}
