/**
 * One end of a TCP transfer in both directions at once:
 *   node tcp-transfer.mjs listen|connect ADDRESS PORT BYTES
 * sends BYTES random bytes, reads until the other side ends, and prints the SHA-256 of what it sent and received. The
 * listener prints `listening` first. `ms` is how long the connection took.
 */
import { createHash, randomBytes } from 'node:crypto';
import { connect, createServer } from 'node:net';

const [role, host, port, bytes] = process.argv.slice(2);

function transfer(socket) {
  const started = performance.now();
  const data = randomBytes(Number(bytes));
  const received = createHash('sha256');
  socket.on('data', (chunk) => received.update(chunk));
  socket.on('end', () => {
    const sent = createHash('sha256').update(data);
    const ms = Math.round(performance.now() - started);
    console.log(JSON.stringify({ sent: sent.digest('hex'), received: received.digest('hex'), ms }));
  });
  socket.end(data);
}

if (role === 'listen') {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    server.close();
    transfer(socket);
  });
  server.listen(Number(port), host, () => console.log('listening'));
} else {
  transfer(connect({ host, port: Number(port), allowHalfOpen: true }));
}
