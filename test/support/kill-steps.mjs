/** Lets a process kill itself, as kill -9 would, at one of the requests that change the kernel by rtnetlink. */
import { Netlink } from '../../dist/ffi/netlink.js';

/** RTM_GET*. */
const ASKS = [18, 22, 26, 30, 34];

/**
 * At step `dieAt` the process ends: step 2i is before request i, 2i + 1 right after it. Returns how many steps there have been
 * so far.
 */
export function dieAtStep(dieAt) {
  let step = 0;
  const passStep = () => {
    if (step++ === dieAt) process.kill(process.pid, 'SIGKILL');
  };
  for (const method of ['transact', 'transactAll']) {
    const original = Reflect.get(Netlink.prototype, method);
    Netlink.prototype[method] = function (name, type, ...rest) {
      const isNothing = method === 'transactAll' && rest.at(-1).length === 0;
      if (ASKS.includes(type) || isNothing) return original.call(this, name, type, ...rest);
      passStep();
      try {
        return original.call(this, name, type, ...rest);
      } finally {
        passStep();
      }
    };
  }
  return () => step;
}
