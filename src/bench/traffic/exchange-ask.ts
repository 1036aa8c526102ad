/**
 * Asking end of the exchanges on a path: ADDRESS PORT BULK_PORT MILLISECONDS LIMIT_MS. Says hello at the first port and
 * writes `{"firstByte", "answer"}`: milliseconds from the start of the connection to the first byte of the answer and
 * to its last, each left out when it has not come within the limit. Then sends as fast as it can to the second.
 */
import { connect } from 'node:net';
import { ANSWER_SIZE, HELLO_SIZE } from './exchange-sizes.ts';

const CHUNK_SIZE = 1 << 18;

const [address, port, bulkPort, milliseconds, limit] = process.argv.slice(2);

interface Times {
  firstByte?: number;
  answer?: number;
}

function sayHello(): Promise<Times> {
  return new Promise((resolve) => {
    const times: Times = {};
    let received = 0;
    const start = performance.now();
    const socket = connect(Number(port), address);
    const end = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(times);
    };
    const timer = setTimeout(end, Number(limit));
    socket.on('error', end);
    socket.write(Buffer.alloc(HELLO_SIZE, 22));
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
      times.firstByte ??= performance.now() - start;
      if (received < ANSWER_SIZE) return;
      times.answer = performance.now() - start;
      end();
    });
  });
}

function sendAll(): void {
  const socket = connect(Number(bulkPort), address);
  const chunk = Buffer.alloc(CHUNK_SIZE);
  const send = () => {
    while (socket.write(chunk)) continue;
  };
  socket.on('connect', send);
  socket.on('drain', send);
  socket.on('error', () => {});
  setTimeout(() => socket.destroy(), Number(milliseconds));
}

process.stdout.write(`${JSON.stringify(await sayHello())}\n`);
sendAll();
