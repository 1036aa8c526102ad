/**
 * `npm test`: everything this machine can run. As root it first installs, by apt, what the namespace tests need. What
 * could not run is listed at the end with its reason, and what needed a second try; the last line is
 * `N passed, N failed, N skipped`.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build.mjs';
import { runFiles } from './run-tests.mjs';

const root = resolve(fileURLToPath(import.meta.url), '../..');

/** Program the namespace tests run -> Debian and Ubuntu package that has it. */
const programs = {
  openvpn: 'openvpn',
  ip: 'iproute2',
  iperf3: 'iperf3',
  tcpdump: 'tcpdump',
  traceroute: 'traceroute',
  ping: 'iputils-ping',
  fping: 'fping',
  arping: 'iputils-arping',
  nft: 'nftables',
  bird: 'bird2',
  ethtool: 'ethtool',
  udhcpd: 'udhcpd',
  udhcpc: 'udhcpc',
};

/** Packages of libipsec-mb, newest first: optional, x86-64 only; tests that want it say so when it is missing. */
const ipsecMbPackages = ['libipsec-mb2', 'libipsec-mb1'];

/** What did not run, and why; printed at the end. */
const leftOut = [];

/** Namespace tests are real programs on a machine that others may use: so many files may fail by accident. */
const MOST_ACCIDENTS = 6;

/** What failed, in files that passed at the second try. */
const accidents = [];

const isRoot = process.getuid?.() === 0;
process.chdir(root);
process.env.PATH = `${process.env.PATH}${delimiter}/usr/sbin${delimiter}/sbin`;

const obstacle = namespaceObstacle();
if (obstacle !== undefined) for (const file of namespaceTests()) leftOut.push(`${file}: ${obstacle}`);

if (isRoot) installIpsecMb();
if (obstacle === undefined) fetchReleases();

build();
process.env.TSVPN_TEST_BUILT = '1';
const filters = process.argv.slice(2);
const outcomes = await runFiles('unit', filters);
if (obstacle === undefined) outcomes.push(...(await runNamespaceTests()));
report();

/** Why the namespace tests cannot run here, or undefined when they can. Installs what is missing. */
function namespaceObstacle() {
  if (!isRoot) return 'needs root (run: sudo npm test)';
  const missing = missingPackages();
  if (missing.length > 0) install(missing);
  const absent = missingPackages();
  if (absent.length > 0) return `needs ${absent.join(', ')}, which could not be installed`;
  const probe = spawnSync('unshare', ['--net', 'ip', 'tuntap', 'add', 'dev', 'probe', 'mode', 'tun']);
  if (probe.status !== 0)
    return 'needs network namespaces and /dev/net/tun, which this machine does not allow';
  return undefined;
}

/** Installs the newest libipsec-mb the distribution has, if it has one and none is installed. */
function installIpsecMb() {
  const installed = spawnSync('ldconfig', ['-p'], { encoding: 'utf8' }).stdout ?? '';
  if (process.arch !== 'x64' || installed.includes('libIPSec_MB.so') || !inPath('apt-cache')) return;
  const known = ipsecMbPackages.find((name) => spawnSync('apt-cache', ['show', name]).status === 0);
  if (known !== undefined) install([known]);
}

/** Stock OpenVPN of other releases; tests that want one which cannot be had say so. */
function fetchReleases() {
  const { stdout } = spawnSync(process.execPath, ['scripts/stock.mjs'], { encoding: 'utf8' });
  process.env.TSVPN_TEST_RELEASES = stdout;
  const versions = Object.values(JSON.parse(stdout)).flatMap(({ version }) => version ?? []);
  console.log(`npm test: stock OpenVPN besides the one installed: ${versions.join(', ') || 'none'}`);
}

function missingPackages() {
  return Object.entries(programs).flatMap(([program, name]) => (inPath(program) ? [] : [name]));
}

function inPath(program) {
  return process.env.PATH.split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Installs Debian packages, refreshing the package lists only when the first attempt fails. */
function install(packages) {
  if (!inPath('apt-get')) {
    console.error(`npm test: please install ${packages.join(', ')}: there is no apt-get here to do it with`);
    return;
  }
  console.log(`npm test: installing what the tests need, by apt: ${packages.join(' ')}`);
  // A mirror may hiccup, and another apt may be at work.
  const patience = ['-o', 'Acquire::Retries=3', '-o', 'DPkg::Lock::Timeout=300'];
  const apt = (...words) =>
    spawnSync('apt-get', ['-qq', ...patience, ...words], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    }).status === 0;
  const installPackages = () =>
    withoutServices(() => apt('install', '--yes', '--no-install-recommends', ...packages));
  if (installPackages()) return;
  console.log('npm test: that failed; refreshing the package lists and trying again');
  if (apt('update') && installPackages()) return;
  console.error(`npm test: apt could not install ${packages.join(' ')}; its messages are above`);
}

/** The tests start programs themselves: nothing is to run on the host because its package was installed (invoke-rc.d(8)). */
function withoutServices(action) {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return action();
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    return action();
  } finally {
    unlinkSync(policy);
  }
}

function namespaceTests() {
  return readdirSync('test/netns', { recursive: true })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => join('test/netns', file));
}

/** A file that fails runs again, alone and from the start: its networks are new, and so are its processes. */
async function runNamespaceTests() {
  const first = await runFiles('netns', filters);
  const failed = first.filter((outcome) => outcome.failed.length > 0);
  if (failed.length === 0 || failed.length > MOST_ACCIDENTS) return first;
  const files = failed.map(({ file }) => file);
  console.log(`npm test: a second try, one file after the other: ${files.join(' ')}`);
  const second = await runFiles('netns', files, { fileParallelism: false });
  return first.map((outcome) => {
    const again = second.find(({ file }) => file === outcome.file);
    if (again?.failed.length === 0)
      accidents.push(...outcome.failed.map((what) => `${outcome.file}: ${what}`));
    return again ?? outcome;
  });
}

function report() {
  const all = (kind) =>
    outcomes.flatMap((outcome) => outcome[kind].map((what) => `${outcome.file}: ${what}`));
  const [failed, skipped] = [all('failed'), all('skipped')];
  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
  list('\nleft out', [...leftOut, ...skipped], 'nothing');
  list('passed at the second try only', accidents);
  list('failed', failed);
  console.log(`${passed} passed, ${failed.length} failed, ${skipped.length} skipped`);
  process.exitCode = failed.length > 0 || passed === 0 ? 1 : 0;
}

function list(title, lines, none) {
  if (lines.length > 0) console.log(`${title}:\n${lines.map((line) => `  ${line}`).join('\n')}`);
  else if (none !== undefined) console.log(`${title}: ${none}`);
}
