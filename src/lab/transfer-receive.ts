/** Receiving end of the lab's TCP transfer: ADDRESS; writes the port, then `{bytes, seconds, sha256}`. */
import { createHash } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';

const hash = createHash('sha256');
let bytes = 0;
let start = 0;

const server = createServer((socket) => {
  start = performance.now();
  server.close();
  socket.on('data', (chunk) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  socket.on('end', () => {
    const seconds = (performance.now() - start) / 1000;
    process.stdout.write(`${JSON.stringify({ bytes, seconds, sha256: hash.digest('hex') })}\n`);
    // The sender waits for this: an end before it would be an end of the connection.
    socket.end();
  });
  socket.on('error', (error) => {
    throw error;
  });
});
server.listen(0, process.argv[2], () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
