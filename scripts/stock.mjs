/**
 * Stock OpenVPN of other releases than the one installed, unpacked and not installed: the `openvpn` package of a Debian suite
 * and the libraries it needs, which apt fetches from the mirror this machine uses, and verifies. They run with the dynamic
 * loader and the C library they were built for. Kept in node_modules/.cache/openvpn: remove that to get what a suite has today.
 *
 *   node scripts/stock.mjs      prints {RELEASE: {version, argv}}, or {RELEASE: {obstacle}} for one that cannot be had
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { owner } from './build.mjs';

/** Release -> the Debian suite that has it. */
const suites = { 2.5: 'bullseye', 2.7: 'forky' };

const cache = fileURLToPath(new URL('../node_modules/.cache/openvpn', import.meta.url));
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
const timeout = 120_000;

/** What openvpn is made of; the rest of its dependencies (debconf, iproute2) the host has or nobody asks for. */
const wanted = /^(?:openvpn|openssl-provider-legacy|zlib1g|lib.+)$/;

function stock(release, suite) {
  try {
    const folder = join(cache, suite);
    if (!existsSync(folder)) fetch(suite, folder);
    const argv = argvOf(folder);
    const version = /^OpenVPN (\S+)/.exec(run([...argv, '--version']).stdout)?.[1] ?? 'no OpenVPN';
    if (!version.startsWith(`${release}.`)) throw new Error(`Debian ${suite} has ${version}`);
    return { version, argv };
  } catch (error) {
    return { obstacle: `stock OpenVPN ${release} cannot be had: ${error.message}` };
  }
}

/** Makes the folder, whole or not at all. */
function fetch(suite, folder) {
  const uri = mirror();
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'fetch-'));
  try {
    const root = join(work, 'root');
    for (const name of ['state/lists/partial', 'cache/archives/partial', 'packages', 'root'])
      mkdirSync(join(work, name), { recursive: true });
    writeFileSync(join(work, 'state/status'), '');
    writeFileSync(join(work, 'sources.list'), `deb [signed-by=${keyring}] ${uri} ${suite} main\n`);
    const apt = (...words) =>
      succeed(['apt-get', '-qq', ...options(work, suite), ...words], join(work, 'packages'));
    apt('update');
    const names = apt('--simulate', 'install', 'openvpn')
      .split('\n')
      .flatMap((line) => /^Inst (\S+)/.exec(line)?.[1] ?? [])
      .filter((name) => wanted.test(name));
    apt('download', ...names);
    for (const file of readdirSync(join(work, 'packages')))
      succeed(['dpkg-deb', '--extract', join(work, 'packages', file), root], work);
    // Whoever was first with the same has won.
    if (!existsSync(folder)) renameSync(root, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The mirror of Debian in this machine's own package sources. */
function mirror() {
  if (!existsSync(keyring)) throw new Error(`there is no ${keyring} to verify it with`);
  const found = run([
    'apt-get',
    'indextargets',
    '--format',
    '$(REPO_URI)',
    'Created-By: Packages',
    'Label: Debian',
  ]);
  const [uri] = (found.stdout ?? '').split('\n');
  if (!uri) throw new Error('apt knows no mirror of Debian here');
  return uri;
}

/** Everything of apt's own in one folder, as if nothing were installed. */
function options(work, suite) {
  const settings = {
    'Dir::State': join(work, 'state'),
    'Dir::State::status': join(work, 'state/status'),
    'Dir::Cache': join(work, 'cache'),
    'Dir::Etc::SourceList': join(work, 'sources.list'),
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::Etc::Preferences': '/dev/null',
    'Dir::Etc::PreferencesParts': '/dev/null',
    'APT::Default-Release': suite,
    'APT::Install-Recommends': 'false',
    'APT::Sandbox::User': 'root',
    'APT::Update::Error-Mode': 'any',
    'Acquire::Languages': 'none',
    'Acquire::http::Timeout': '10',
    'Acquire::Retries': '1',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/** Folders of libraries are `lib/TRIPLET`, from Debian 12 on only below `usr`. OpenSSL reads no configuration of the host. */
function argvOf(folder) {
  const libraries = ['lib', 'usr/lib']
    .filter((name) => existsSync(join(folder, name)))
    .flatMap((name) => readdirSync(join(folder, name)).map((triplet) => resolve(folder, name, triplet)))
    .filter((path) => path.includes('-linux-gnu'));
  const loader = libraries
    .flatMap((path) => readdirSync(path).map((file) => join(path, file)))
    .find((path) => /\/ld-linux[^/]*\.so\.\d$/.test(path));
  if (loader === undefined) throw new Error(`no dynamic loader in ${folder}`);
  return [
    'env',
    'OPENSSL_CONF=/dev/null',
    ...libraries
      .map((path) => join(path, 'ossl-modules'))
      .filter(existsSync)
      .map((path) => `OPENSSL_MODULES=${path}`),
    loader,
    '--library-path',
    libraries.join(':'),
    join(folder, 'usr/sbin/openvpn'),
  ];
}

function run([program, ...words], cwd) {
  return spawnSync(program, words, { cwd, encoding: 'utf8', timeout, env: { ...process.env, LC_ALL: 'C' } });
}

function succeed(argv, cwd) {
  const { status, stdout, stderr, error } = run(argv, cwd);
  if (status === 0) return stdout;
  const [reason] = (stderr ?? '').split('\n').filter((line) => line.startsWith('E: '));
  throw new Error(reason ?? error?.message ?? `${argv[0]} failed: ${stderr}`);
}

// Nothing of root's is left in a user's clone.
const { uid, gid } = owner();
if (uid !== undefined) {
  process.setgid(gid);
  process.setuid(uid);
}
const found = Object.entries(suites).map(([release, suite]) => [release, stock(release, suite)]);
console.log(JSON.stringify(Object.fromEntries(found)));
