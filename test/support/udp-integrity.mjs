/**
 * Numbered datagrams whose content says what it must be:
 *   node udp-integrity.mjs listen ADDRESS PORT            prints `listening`, then on `end` a JSON line
 *   node udp-integrity.mjs send ADDRESS PORT COUNT SIZES [BURST]
 *                                                         SIZES as `64,1400,...`, taken in runs of 50; BURST (25) at
 *                                                         a time, then a rest of 2 ms; SIGTERM ends it early; prints
 *                                                         how many were sent
 * A datagram is its number (4 bytes) and then bytes made from it; the last ones say `end`.
 */
import { createSocket } from 'node:dgram';

const [role, host, port, count, sizes, burst = 25] = process.argv.slice(2);

function content(number, size) {
  const bytes = Buffer.alloc(size);
  for (let i = 4; i < size; i++) bytes[i] = (number * 31 + i * 7) & 255;
  bytes.writeUInt32BE(number);
  return bytes;
}

const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
if (role === 'listen') {
  const seen = new Set();
  let damaged = 0;
  let repeated = 0;
  socket.on('message', (message) => {
    if (message.equals(Buffer.from('end'))) {
      console.log(JSON.stringify({ received: seen.size, damaged, repeated }));
      process.exit();
    }
    const number = message.readUInt32BE();
    if (!content(number, message.length).equals(message)) damaged++;
    if (seen.has(number)) repeated++;
    seen.add(number);
  });
  socket.bind(Number(port), host, () => {
    socket.setRecvBufferSize(4 << 20);
    console.log('listening');
  });
} else {
  const lengths = sizes.split(',').map(Number);
  const send = (bytes) => new Promise((resolve) => socket.send(bytes, Number(port), host, resolve));
  let last = Number(count);
  process.on('SIGTERM', () => (last = 0));
  let number = 0;
  for (; number < last; number++) {
    await send(content(number, lengths[Math.floor(number / 50) % lengths.length]));
    if (number % Number(burst) === Number(burst) - 1) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  console.log(JSON.stringify({ sent: number }));
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    await send(Buffer.from('end'));
  }
  socket.close();
}
