/**
 * One end of a TCP transfer in both directions at once:
 *   node tcp-transfer.mjs listen|connect ADDRESS PORT BYTES [random|text]
 * sends BYTES random bytes, or such as compress well, reads until the other side ends, and prints the SHA-256 of what it sent and received. The
 * listener prints `listening` first. `ms` is how long the connection took.
 */
import { createHash, randomBytes } from 'node:crypto';
import { connect, createServer } from 'node:net';

const [role, host, port, bytes, content = 'random'] = process.argv.slice(2);

/** Lines that differ in a few characters. */
function text(size) {
  const lines = Array.from({ length: Math.ceil(size / 60) }, (_, i) => {
    return `${randomBytes(3).toString('hex')} line ${i} of a log that says much the same every time`;
  });
  return Buffer.from(lines.join('\n')).subarray(0, size);
}

function transfer(socket) {
  const started = performance.now();
  const data = content === 'text' ? text(Number(bytes)) : randomBytes(Number(bytes));
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
