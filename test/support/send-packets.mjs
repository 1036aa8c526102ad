/** `node send-packets.mjs`: sends the IPv4 packets that stand on standard input, one in a line of hex, in that order. */
import { readFileSync } from 'node:fs';
import { check, sendto, socket } from '../../dist/ffi/libc.js';

const AF_INET = 2;
const SOCK_RAW = 3;
const IPPROTO_RAW = 255;

const fd = check('socket', socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
for (const line of readFileSync(0, 'latin1').trim().split('\n')) {
  const packet = Buffer.from(line, 'hex');
  const address = new Uint8Array(16);
  address[0] = AF_INET;
  address.set(packet.subarray(16, 20), 4);
  check('sendto', sendto(fd, packet, packet.length, 0, address, address.length));
}
