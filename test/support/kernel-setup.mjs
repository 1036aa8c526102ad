/**
 * Kernel set-up as one process, for tests that kill it. The order comes as JSON in the first argument:
 * `{journal, device, changes, tun?, difference?, shell?, dieAt?, last}`. `device` is the gateway's own; `tun` is opened first
 * and vanishes with the process. The changes are made one by one, then `difference` ({toAdd, toRemove}), then the command
 * `shell` is run. At step `dieAt` (kill-steps.mjs) the process kills itself: step 2i is between journal and kernel for change
 * i, step 2i + 1 after it.
 * At last it undoes (`undo`), writes `ready` and waits (`wait`), or cleans up after an earlier one (`cleanup`).
 */
import { execFileSync } from 'node:child_process';
import { dirname } from 'node:path';
import { ioctl, open } from '../../dist/ffi/libc.js';
import { KernelSetup } from '../../dist/kernel/apply.js';
import { cleanup } from '../../dist/kernel/cleanup.js';
import { dieAtStep } from './kill-steps.mjs';

const O_RDWR = 2;
const TUNSETIFF = 0x400454ca;
const IFF_TUN_NO_PI = 0x1001;

const { journal, device, changes, tun, difference, shell, dieAt, last } = JSON.parse(process.argv[2]);

if (last === 'cleanup') {
  console.log(JSON.stringify(cleanup(dirname(journal))));
} else {
  if (tun !== undefined) openTun(tun);
  dieAtStep(dieAt);
  const notes = [];
  const note = (text) => notes.push(text);
  const log = { info: (text) => (text.startsWith('ip ') ? undefined : note(text)), warn: note };
  const setup = new KernelSetup({ journalPath: journal, device, log });
  try {
    for (const change of changes) setup.apply([change]);
    if (difference !== undefined) setup.change(difference);
    if (shell !== undefined) execFileSync('sh', ['-c', shell]);
  } catch (error) {
    console.log(JSON.stringify({ error: { ...error }, undo: setup.undo() }));
    process.exit(1);
  }
  if (last === 'undo') console.log(JSON.stringify({ notes, undo: setup.undo() }));
  else {
    console.log('ready');
    setInterval(() => {}, 1000);
  }
}

function openTun(name) {
  const request = new Uint8Array(40);
  request.set(new TextEncoder().encode(name));
  new DataView(request.buffer).setUint16(16, IFF_TUN_NO_PI, true);
  const fd = open('/dev/net/tun', O_RDWR, 0);
  if (ioctl(fd, TUNSETIFF, request) !== 0) throw new Error(`cannot open ${name}`);
}
