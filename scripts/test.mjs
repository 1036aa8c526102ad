/**
 * `npm test`: everything this machine can run. As root it first installs, by apt, what the namespace tests need. What
 * could not run is listed at the end with its reason; the last line is `N passed, N failed, N skipped`.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startVitest } from 'vitest/node';
import { build } from './build.mjs';

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

/** What passed at the second try only. */
const flaky = [];

const isRoot = process.getuid?.() === 0;
process.chdir(root);
process.env.PATH = `${process.env.PATH}${delimiter}/usr/sbin${delimiter}/sbin`;

const projects = ['unit'];
const obstacle = namespaceObstacle();
if (obstacle === undefined) projects.push('netns');
else for (const file of namespaceTests()) leftOut.push(`${file}: ${obstacle}`);

if (isRoot) installIpsecMb();
if (obstacle === undefined) fetchReleases();

build();
process.env.TSVPN_TEST_BUILT = '1';
const totals = await runTests();
report(totals);

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
  const apt = (...words) =>
    spawnSync('apt-get', ['-qq', ...words], {
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

async function runTests() {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const counter = {
    onTestCaseResult(test) {
      const result = test.result();
      if (result.state === 'pending') return;
      totals[result.state]++;
      if (test.diagnostic()?.flaky) flaky.push(`${test.module.relativeModuleId}: ${test.fullName}`);
      if (result.state === 'skipped') {
        leftOut.push(
          `${test.module.relativeModuleId}: ${test.fullName}: ${result.note ?? 'no reason given'}`,
        );
      }
    },
    onTestModuleEnd(module) {
      totals.failed += module.errors().length;
    },
    onTestSuiteResult(suite) {
      totals.failed += suite.errors().length;
    },
    onTestRunEnd(_modules, unhandledErrors) {
      totals.failed += unhandledErrors.length;
    },
  };
  const vitest = await startVitest(
    'test',
    process.argv.slice(2),
    { run: true, watch: false, project: projects, reporters: ['default', counter] },
    { configLoader: 'runner' },
  );
  await vitest.close();
  return totals;
}

function report(totals) {
  if (leftOut.length === 0) console.log('\nleft out: nothing');
  else console.log(`\nleft out:\n${leftOut.map((line) => `  ${line}`).join('\n')}`);
  if (flaky.length > 0)
    console.log(`passed at the second try:\n${flaky.map((line) => `  ${line}`).join('\n')}`);
  console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
  process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : process.exitCode;
}
