/**
 * Sends TCP SYNs, or UDP datagrams without data, by a raw socket, each from another port, and from another of HOSTS
 * addresses from FROM on:
 *   node flood.mjs tcp|udp FROM HOSTS TO PORT PER_SECOND SECONDS
 * Prints `started`, and at the end {sent} as JSON. It keeps to the rate on average: what was late is caught up with.
 */
import { check, sendto, socket } from '../../dist/ffi/libc.js';

const AF_INET = 2;
const SOCK_RAW = 3;
const IPPROTO_RAW = 255;
const TICK_MS = 2;

const [protocol, from, hosts, to, port, perSecond, seconds] = process.argv.slice(2);
const numberOf = (address) => address.split('.').reduce((number, byte) => number * 256 + Number(byte), 0);
const first = numberOf(from);

const isTcp = protocol === 'tcp';
const packet = Buffer.alloc(isTcp ? 40 : 28);
packet[0] = 0x45;
packet.writeUInt16BE(packet.length, 2);
packet[8] = 64;
packet[9] = isTcp ? 6 : 17;
packet.writeUInt32BE(numberOf(to), 16);
packet.writeUInt16BE(Number(port), 22);
if (isTcp) {
  packet[32] = 0x50;
  packet[33] = 0x02;
  packet.writeUInt16BE(64240, 34);
} else {
  packet.writeUInt16BE(8, 24);
}

const address = new Uint8Array(16);
address[0] = AF_INET;
address.set(packet.subarray(16, 20), 4);

const fd = check('socket', socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
const total = Number(perSecond) * Number(seconds);
const start = performance.now();
let sent = 0;
console.log('started');
const timer = setInterval(() => {
  const due = Math.min(total, Math.floor(((performance.now() - start) / 1000) * Number(perSecond)));
  while (sent < due) sendOne(sent++);
  if (sent < total) return;
  clearInterval(timer);
  console.log(JSON.stringify({ sent }));
}, TICK_MS);

/** The kernel fills in the IPv4 checksum; a device that is full is what a flood is for. */
function sendOne(number) {
  packet.writeUInt32BE(first + (number % Number(hosts)), 12);
  packet.writeUInt16BE(1024 + (number % 64_000), 20);
  if (isTcp) {
    packet.writeUInt32BE((number * 2654435761) % 2 ** 32, 24);
    packet.writeUInt16BE(0, 36);
    packet.writeUInt16BE(tcpChecksum(), 36);
  }
  sendto(fd, packet, packet.length, 0, address, address.length);
}

function tcpChecksum() {
  let sum = 6 + 20;
  for (let i = 12; i < 40; i += 2) sum += packet.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}
