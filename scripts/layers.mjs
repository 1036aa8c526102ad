/**
 * The dependency direction between the folders of src/, as one table. A folder imports itself, src/errors.ts and what
 * its row lists: a folder (`packet`) or one file of a folder (`tun/device.ts`). Cycles between files are the linter's
 * job (import/no-cycle).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const anything = ['*'];

const allowed = {
  packet: [],
  ffi: ['packet'],
  crypto: ['packet', 'ffi'],
  protocol: ['packet'],
  route: ['packet'],
  nat: ['packet'],
  transport: ['packet', 'ffi'],
  tun: ['packet', 'ffi'],
  udp: ['packet', 'ffi', 'transport'],
  tcp: ['packet', 'ffi', 'transport'],
  icmp: ['packet', 'ffi'],
  engine: [
    'packet',
    'crypto',
    'protocol',
    'route',
    'nat',
    'tun',
    'transport',
    'udp',
    'icmp',
    'config/model.ts',
  ],
  config: ['crypto', 'protocol', 'packet', 'nat/rule.ts'],
  kernel: ['ffi', 'packet', 'config/model.ts', 'config/protocols.ts', 'route/route.ts'],
  control: ['packet', 'ffi', 'protocol', 'route', 'nat', 'kernel'],
  gateway: [
    'packet',
    'ffi',
    'crypto',
    'protocol',
    'route',
    'nat',
    'tun',
    'transport',
    'udp',
    'tcp',
    'engine',
    'config',
    'kernel',
    'control',
  ],
  management: ['control', 'config/model.ts', 'config/lexer.ts', 'config/findings.ts'],
  lab: anything,
  bench: anything,
  cli: anything,
  '.': anything,
};

/** Files that put the parts together and may reach below the interfaces their folder is restricted to. */
const exceptions = { 'engine/worker.ts': anything, 'engine/nat-surroundings.ts': anything };

/** Nobody imports the command line. */
const isCli = (target) => target.startsWith('cli/');

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../src');
const importPattern = /^(?:import|export)\b[^;'"]*?['"](\.[^'"]+)['"]/gm;

function sourceFiles(directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return sourceFiles(path);
    return path.endsWith('.ts') ? [path] : [];
  });
}

function folderOf(path) {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : '.';
}

function mayImport(file, target) {
  const folder = folderOf(file);
  if (target === 'errors.ts' || folderOf(target) === folder) return true;
  if (isCli(target)) return false;
  const rules = exceptions[file] ?? allowed[folder];
  if (rules === undefined) return false;
  return rules === anything || rules.some((rule) => target === rule || target.startsWith(`${rule}/`));
}

const findings = [];
let edges = 0;
for (const path of sourceFiles(root)) {
  const file = relative(root, path);
  for (const [, specifier] of readFileSync(path, 'utf8').matchAll(importPattern)) {
    const target = relative(root, resolve(dirname(path), specifier));
    edges++;
    if (!mayImport(file, target)) findings.push(`src/${file} must not import src/${target}`);
  }
}
for (const finding of findings) console.error(finding);
console.log(`layers: ${edges} imports checked, ${findings.length} against the direction`);
process.exitCode = findings.length === 0 ? 0 : 1;
