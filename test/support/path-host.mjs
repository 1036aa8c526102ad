/**
 * One of two hosts that meet over a path: node path-host.mjs OWN,OWN6 PEER,PEER6 BULK_BYTES LIMIT_MS
 *
 * Answers hellos of 2 kB by 100 kB, as a TLS server does, and what is longer by its SHA-256. Prints `listening`; at
 * each SIGUSR2 it says hello to each of the peer's addresses, then sends it BULK_BYTES random bytes, all addresses at the
 * same time, and prints what came of it as a line of JSON.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const HELLO_SIZE = 2048;
const ANSWER_SIZE = 100_000;
const HELLO_PORT = 7001;
const BULK_PORT = 7002;

const [own, peers, bulkBytes, limitMs] = process.argv.slice(2);

function answer(socket) {
  let received = 0;
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    received += chunk.length;
    if (received >= HELLO_SIZE) socket.end(Buffer.alloc(ANSWER_SIZE));
  });
}

function digest(socket) {
  const hash = createHash('sha256');
  socket.on('error', () => {});
  socket.on('data', (chunk) => hash.update(chunk));
  socket.on('end', () => socket.end(hash.digest('hex')));
}

/** What comes back until the other side ends; undefined when it does not in time. */
async function exchange(host, port, data, halfClose) {
  const socket = connect({ host, port: Number(port), allowHalfOpen: true });
  const chunks = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  if (halfClose) socket.end(data);
  else socket.write(data);
  try {
    await once(socket, 'end', { signal: AbortSignal.timeout(Number(limitMs)) });
    return Buffer.concat(chunks);
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}

async function meet(host) {
  const hello = await exchange(host, HELLO_PORT, Buffer.alloc(HELLO_SIZE, 22), false);
  const data = randomBytes(Number(bulkBytes));
  const returned = await exchange(host, BULK_PORT, data, true);
  const sha256 = createHash('sha256').update(data).digest('hex');
  return { host, handshake: hello?.length === ANSWER_SIZE, bulk: returned?.toString() === sha256 };
}

for (const host of own.split(',')) {
  for (const [port, serve] of [
    [HELLO_PORT, answer],
    [BULK_PORT, digest],
  ]) {
    await once(createServer({ allowHalfOpen: true }, serve).listen(port, host), 'listening');
  }
}
async function meetAll() {
  console.log(JSON.stringify(await Promise.all(peers.split(',').map(meet))));
}

process.on('SIGUSR2', () => void meetAll());
console.log('listening');
