import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HANDSHAKE_LIMIT_MS } from '../../src/bench/metrics.ts';
import type { BenchResults } from '../../src/bench/results.ts';
import { TSVPN } from '../support/cli.ts';
import { Daemon, run } from '../support/process.ts';
import { giveToUnprivileged, WITHOUT_CAPABILITIES } from '../support/unprivileged.ts';

/** The bench makes its folder in here, named after the namespaces. */
let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'tsvpn-bench-test-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const argv = (...words: string[]) => [process.execPath, TSVPN, 'bench', ...words];
const environment = () => ({ env: { TMPDIR: folder }, timeoutMs: 150_000 });
const SMALL = ['--contenders', 'stock,tsvpn', '--seconds', '1', '--repeat', '1'];

/** What the benches of this test have left: folders, names of namespaces, processes working in the folder. */
function leftovers(): string[] {
  const processes = readdirSync('/proc').filter((entry) => workingDirectory(entry).startsWith(folder));
  return [...readdirSync(folder), ...processes.map((pid) => `process ${pid}`)];
}

function namespacesOf(prefix: string): string[] {
  return readdirSync('/run/netns').filter((name) => name.startsWith(prefix));
}

function workingDirectory(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return '';
  }
}

describe('a tiny bench', () => {
  it('yields complete JSON, a report and plots, and leaves nothing else', async () => {
    const out = join(folder, 'out');
    const words = ['--only', 'tcp1,rtt,rss', ...SMALL, '--json', '--out', out];
    const { code, stdout } = await run(argv(...words), environment());
    const results = JSON.parse(stdout) as BenchResults;
    expect(results.failures).toEqual([]);
    expect(code).toBe(0);
    expect(results).toMatchObject({
      schema: 'tsvpn.bench/1',
      machine: { cores: expect.any(Number), versions: { node: process.versions.node } },
      secondsPerTransfer: 1,
      repeat: 1,
      contenders: [{ name: 'stock' }, { name: 'tsvpn' }],
      measurements: [{ name: 'tcp1' }, { name: 'rtt' }, { name: 'rss' }],
    });
    const samples = results.samples.map(({ measurement, contender }) => `${measurement} ${contender}`);
    const expected = ['tcp1', 'rtt', 'rss'].flatMap((name) => [`${name} stock`, `${name} tsvpn`]);
    expect(samples).toEqual(expected);
    for (const { values } of results.samples) {
      for (const value of Object.values(values)) expect(value).toBeGreaterThan(0);
    }
    expect(Object.keys(results.samples[0].values)).toEqual(['mbps', 'cpuPerGb', 'cpuPerGbA', 'cpuPerGbB']);
    expect(JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'))).toEqual(results);
    expect(readdirSync(out)).toEqual(expect.arrayContaining(['report.md', 'tcp.svg', 'cpu.svg', 'rtt.svg']));
    expect(leftovers()).toEqual(['out']);
  });

  it('counts UDP packets at the receiver, and none is lost at a low rate', async () => {
    const { stdout } = await run(
      argv('--only', 'udp512', '--contenders', 'veth', '--seconds', '1', '--repeat', '1', '--json'),
      environment(),
    );
    const { samples } = JSON.parse(stdout) as BenchResults;
    const slowest = samples.find(({ at }) => at === 5000)!;
    expect(slowest.values.lossPercent).toBe(0);
    expect(slowest.values.received).toBeGreaterThan(0);
  });
});

describe('a path that drops in silence what is too long', () => {
  it('stops stock and a tsvpn that does not measure it, and is no obstacle to one that does', async () => {
    const words = ['--only', 'path-no-fragments', '--quick', '--seconds', '1', '--json'];
    const { code, stdout } = await run(argv(...words), environment());
    const { failures, samples, measurements } = JSON.parse(stdout) as BenchResults;
    expect({ code, failures }).toEqual({ code: 0, failures: [] });
    expect(measurements).toEqual([expect.objectContaining({ name: 'path-no-fragments' })]);
    const nothing = { firstByte: HANDSHAKE_LIMIT_MS, answer: HANDSHAKE_LIMIT_MS, mbps: 0 };
    expect(samples.map(({ contender, at }) => [contender, at])).toEqual([
      ['stock', 1400],
      ['tsvpn-unmeasured', 1400],
      ['tsvpn', 1400],
    ]);
    expect(samples[0].values).toEqual(nothing);
    expect(samples[1].values).toEqual(nothing);
    expect(samples[2].values.answer).toBeLessThan(HANDSHAKE_LIMIT_MS);
    expect(samples[2].values.mbps).toBeGreaterThan(0);
    expect(leftovers()).toEqual([]);
  });
});

describe('whatever happens, the bench leaves nothing behind', () => {
  const words = ['--only', 'tcp1', '--contenders', 'stock,tsvpn,wireguard-go,fastd', '--seconds', '60'];
  const moments: readonly [when: string, pattern: RegExp][] = [
    ['while the tunnels start', /starting tsvpn/],
    ['during a transfer', /measuring TCP/],
  ];

  it.each(moments)('Ctrl-C %s', async (_when, pattern) => {
    const bench = new Daemon(argv(...words), environment());
    await bench.waitFor(pattern);
    const prefix = readdirSync(folder)[0].split('-').slice(0, 2).join('-');
    expect(await bench.stop('SIGINT')).toBe(1);
    expect(bench.log).toContain('BENCH_INTERRUPTED');
    expect([...leftovers(), ...namespacesOf(prefix)]).toEqual([]);
  });

  it.each(moments)('kill -9 %s', async (_when, pattern) => {
    const bench = new Daemon(argv(...words), environment());
    await bench.waitFor(pattern);
    const prefix = readdirSync(folder)[0].split('-').slice(0, 2).join('-');
    bench.signal('SIGKILL');
    await expect.poll(() => [...leftovers(), ...namespacesOf(prefix)]).toEqual([]);
  });
});

describe('refusals', () => {
  beforeEach(() => giveToUnprivileged(folder));

  it('without privilege: exit code 4 with the way to get it, and nothing is made', async () => {
    const { code, stderr } = await run([...WITHOUT_CAPABILITIES, ...argv('--only', 'rtt')], environment());
    expect(code).toBe(4);
    expect(stderr).toContain('BENCH_PRIVILEGE');
    expect(stderr).toContain('tsvpn bench --only codec,pipeline');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('what runs in the process needs no privilege', async () => {
    const { code, stdout } = await run(
      [...WITHOUT_CAPABILITIES, ...argv('--only', 'pipeline', '--quick')],
      environment(),
    );
    expect(code).toBe(0);
    expect(stdout).toContain('packets/s');
  });
});
