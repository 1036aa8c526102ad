/** Sending end of the lab's TCP transfer: ADDRESS PORT BYTES; writes the SHA-256 of what it sent. */
import { createHash, randomFillSync } from 'node:crypto';
import { connect } from 'node:net';
import { finished, pipeline } from 'node:stream/promises';

const CHUNK_SIZE = 1 << 18;

const [address, port, size] = process.argv.slice(2);
const hash = createHash('sha256');

function* chunks(total: number): Generator<Buffer> {
  for (let sent = 0; sent < total; sent += CHUNK_SIZE) {
    const chunk = randomFillSync(Buffer.allocUnsafe(Math.min(CHUNK_SIZE, total - sent)));
    hash.update(chunk);
    yield chunk;
  }
}

const socket = connect(Number(port), address);
socket.resume();
await pipeline(chunks(Number(size)), socket);
await finished(socket);
process.stdout.write(`${hash.digest('hex')}\n`);
