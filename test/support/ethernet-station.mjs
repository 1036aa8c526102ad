/**
 * A station on a bridge, for frames that this machine's kernel may have no driver to make (VLAN tags):
 *
 *     node ethernet-station.mjs DEVICE BRIDGE MTU [FRAME...]
 *
 * Opens the tap device DEVICE, makes it a port of BRIDGE, says `ready`, sends the frames (hexadecimal) on SIGUSR2, and prints
 * every frame that it gets, in hexadecimal, until it is ended.
 */
import { execFileSync } from 'node:child_process';
import { readSync, writeSync } from 'node:fs';
import { openTun } from '../../dist/tun/open.js';

const POLL_MS = 5;
const LONGEST = 65536;

const [device, bridge, mtu, ...frames] = process.argv.slice(2);
const { fd } = openTun({ type: 'tap', name: device, node: '/dev/net/tun', offload: false });
execFileSync('ip', ['link', 'set', 'dev', device, 'mtu', mtu, 'master', bridge, 'up']);
const buffer = Buffer.alloc(LONGEST);

setInterval(() => {
  for (let frame = read(); frame !== undefined; frame = read()) console.log(frame);
}, POLL_MS);
process.on('SIGUSR2', () => {
  for (const frame of frames) writeSync(fd, Buffer.from(frame, 'hex'));
});
console.log('ready');

function read() {
  try {
    return buffer.toString('hex', 0, readSync(fd, buffer));
  } catch (error) {
    if (error.code === 'EAGAIN') return undefined;
    throw error;
  }
}
