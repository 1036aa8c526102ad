/**
 * Node starts a dozen threads, and stock OpenVPN none: the units that distributions ship for it allow ten tasks (`TasksMax=10`,
 * `LimitNPROC=10`), scripts included. Where the limit is low, bin/tsvpn leaves libuv one helper instead of four, which looks names
 * up; and a tunnel is executed again, as the same process, with one of V8's helpers instead of four. That takes an option of node.
 */
import { execve, fcntl } from '../ffi/libc.ts';

/** fcntl.h */
const F_SETFD = 2;
const ONE_HELPER = '--v8-pool-size=1';

/** Does not return where that is to be done. */
export function useFewThreads(env: NodeJS.ProcessEnv): void {
  if (env.UV_THREADPOOL_SIZE !== '1' || process.execArgv.includes(ONE_HELPER)) return;
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value ?? ''}`);
  const words = [process.execPath, ONE_HELPER, ...process.execArgv, ...process.argv.slice(1)];
  // Node has marked even these to be closed.
  for (const stream of [0, 1, 2]) fcntl(stream, F_SETFD, 0);
  // When it fails everything is as before, and the tunnel may still fit.
  execve(process.execPath, [...words, null], [...variables, null]);
}
