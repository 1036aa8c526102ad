/**
 * Serving end of the exchanges on a path: ADDRESS MILLISECONDS. Writes two ports. On the first, a hello is answered as
 * in a TLS handshake; on the second, what comes during so many milliseconds is counted, and written as
 * `{"bytes", "milliseconds"}` whether anything came or not.
 */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { ANSWER_SIZE, HELLO_SIZE } from './exchange-sizes.ts';

const [address, milliseconds] = process.argv.slice(2);

function answer(socket: Socket): void {
  let received = 0;
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (received >= HELLO_SIZE) socket.end(Buffer.alloc(ANSWER_SIZE));
  });
}

function count(socket: Socket): void {
  const start = performance.now();
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
  setTimeout(() => {
    const took = performance.now() - start;
    process.stdout.write(`${JSON.stringify({ bytes, milliseconds: took })}\n`);
    socket.destroy();
  }, Number(milliseconds));
}

function listen(serve: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      // The other end may be gone.
      socket.on('error', () => {});
      serve(socket);
    });
    server.listen(0, address, () => resolve(server));
  });
}

const servers = [await listen(answer), await listen(count)];
process.stdout.write(`${servers.map((server) => (server.address() as AddressInfo).port).join(' ')}\n`);
