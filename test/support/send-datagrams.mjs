/**
 * Sends one UDP datagram per line of standard input, written in hex (an empty line is an empty datagram):
 *   node send-datagrams.mjs ADDRESS PORT
 */
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { promisify } from 'node:util';

const [address, port] = process.argv.slice(2);
const lines = readFileSync(0, 'utf8').split('\n').slice(0, -1);
const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
const send = promisify(socket.send.bind(socket));
for (const line of lines) await send(Buffer.from(line, 'hex'), Number(port), address);
socket.close();
