/**
 * Network namespaces for tests. All of one `Lab` share a random name, and a reaper process that outlives a crashed or
 * killed test worker removes them, every process in them and the lab's folder when the worker is gone.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Daemon, mustRun, run, type RunOptions, type RunResult } from './process.ts';

/** Ends everything in the lab's namespaces, by process id, then the namespaces and the folder. */
const REAP = `
trap '' INT TERM HUP
cat >/dev/null
for name in $(ip netns list | cut -d' ' -f1 | grep "^$1-"); do
  for pid in $(ip netns pids "$name"); do kill -9 "$pid"; done
  ip netns del "$name"
done
rm -rf -- "$2"
`;

const LOCAL_ROUTE_LOOKS = 100;
const LOOK_MS = 50;

export class Namespace {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  argv(words: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.name, ...words];
  }

  run(words: readonly string[], options?: RunOptions): Promise<RunResult> {
    return run(this.argv(words), options);
  }

  mustRun(words: readonly string[], options?: RunOptions): Promise<string> {
    return mustRun(this.argv(words), options);
  }

  spawn(words: readonly string[], options?: RunOptions): Daemon {
    return new Daemon(this.argv(words), options);
  }

  /** `ip` inside the namespace, without the cost of entering it. */
  ip(...words: string[]): Promise<string> {
    return mustRun(['ip', '-n', this.name, ...words]);
  }

  /** Sets one of the namespace's own settings, by its path under /proc/sys. */
  async sysctl(path: string, value: number): Promise<void> {
    await this.mustRun(['sh', '-c', `echo ${value} > /proc/sys/${path}`]);
  }

  /**
   * Links, addresses, routes and rules, to compare before and after. Neighbour state and counters are left out. The kernel adds
   * the local routes of IPv6 addresses in the background (addrconf_dad_work): they are waited for.
   */
  async snapshot(): Promise<string> {
    for (let i = 0; i < LOCAL_ROUTE_LOOKS && !(await this.#hasLocalRoutes()); i++) await sleep(LOOK_MS);
    const parts = [
      await this.ip('-br', 'link'),
      await this.ip('-br', 'address'),
      await this.ip('route', 'show', 'table', 'all'),
      await this.ip('-6', 'route', 'show', 'table', 'all'),
      await this.ip('rule'),
      await this.ip('-6', 'rule'),
    ];
    return parts.join('--\n');
  }

  async #hasLocalRoutes(): Promise<boolean> {
    const addresses = [...(await this.ip('-6', '-o', 'address')).matchAll(/inet6 ([^/ ]+)/g)];
    const routes = await this.ip('-6', 'route', 'show', 'table', 'local');
    return addresses.every(([, address]) => routes.includes(`local ${address} `));
  }
}

export interface Lab {
  /** How the names of its namespaces begin, before a dash: what is called so goes with the lab. */
  readonly prefix: string;
  /** Private folder for configs, keys and run-time files; goes with the lab. */
  readonly folder: string;
  namespace(name: string): Promise<Namespace>;
  /** A veth pair with an end in each namespace, named after the other side; both ends up. */
  connect(a: Namespace, deviceOfA: string, b: Namespace, deviceOfB: string): Promise<void>;
  /** Once more does nothing: when a hook that makes a lab fails, the one after the test meets the last test's. */
  destroy(): Promise<void>;
}

export function createLab(): Lab {
  const prefix = `tsvpn-${randomBytes(4).toString('hex')}`;
  const folder = mkdtempSync(join(tmpdir(), `${prefix}-`));
  const reaper = startReaper(prefix, folder);
  const reaped = once(reaper, 'close');

  return {
    prefix,
    folder,
    async namespace(name) {
      const namespace = new Namespace(`${prefix}-${name}`);
      await mustRun(['ip', 'netns', 'add', namespace.name]);
      await namespace.ip('link', 'set', 'lo', 'up');
      // Without duplicate address detection, addresses and their routes are final as soon as they are there.
      await namespace.sysctl('net/ipv6/conf/all/accept_dad', 0);
      await namespace.sysctl('net/ipv6/conf/default/accept_dad', 0);
      return namespace;
    },
    async connect(a, deviceOfA, b, deviceOfB) {
      const peer = ['peer', 'name', deviceOfB, 'netns', b.name];
      await a.ip('link', 'add', deviceOfA, 'type', 'veth', ...peer);
      await a.ip('link', 'set', deviceOfA, 'up');
      await b.ip('link', 'set', deviceOfB, 'up');
    },
    async destroy() {
      reaper.stdin?.end();
      await reaped;
    },
  };
}

/** The reaper waits for the end of its standard input, which comes with the worker's end at the latest. */
function startReaper(prefix: string, folder: string): ChildProcess {
  const reaper = spawn('bash', ['-c', REAP, 'reaper', prefix, folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  reaper.unref();
  return reaper;
}
