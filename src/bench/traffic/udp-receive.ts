/**
 * UDP sink, a process of its own: ADDRESS. Writes its port, then counts what arrives, by the step the generator wrote
 * into each packet; a step number on standard input is answered with SinkCount. Ends with its standard input.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createInterface } from 'node:readline';
import { SOCK_CLOEXEC, SOCK_DGRAM, SOL_SOCKET, SO_RCVBUFFORCE, SO_RCVTIMEO } from '../../ffi/constants.ts';
import { bind, check, getsockname, recvmmsg, setsockopt, socket } from '../../ffi/libc.ts';
import { AF_INET, encodeEndpoint, endpointPort } from '../../transport/endpoint.ts';
import { messageTable } from './messages.ts';

export interface SinkCount {
  readonly packets: number;
  /** Between the first arrival and the last. */
  readonly seconds: number;
}

const BATCH = 64;
/** Only the step number is read: the rest of a packet is cut off by the kernel, which saves copying it. */
const READ_SIZE = 4;
const MAX_STEPS = 4096;
const SOCKADDR_IN_SIZE = 16;
const BUFFER_SIZE = 16 * 1024 * 1024;
/** recvmmsg waits for the first message only. */
const MSG_WAITFORONE = 0x10000;
/** Orders are heard in between. */
const SLICE_MS = 10;

const fd = check('socket', socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
check('bind', bind(fd, encodeEndpoint(process.argv[2], 0), SOCKADDR_IN_SIZE));
setOption(SO_RCVBUFFORCE, [BUFFER_SIZE]);
// struct timeval: seconds (i64), microseconds (i64).
setOption(SO_RCVTIMEO, [0, 0, SLICE_MS * 1000, 0]);

function setOption(name: number, words: readonly number[]): void {
  const value = new Uint8Array(Uint32Array.from(words).buffer);
  check('setsockopt', setsockopt(fd, SOL_SOCKET, name, value, value.length));
}

function boundPort(): number {
  const name = new Uint8Array(SOCKADDR_IN_SIZE);
  const length = new Uint8Array(Uint32Array.of(SOCKADDR_IN_SIZE).buffer);
  check('getsockname', getsockname(fd, name, length));
  return endpointPort(name, 0);
}

const table = messageTable(BATCH, READ_SIZE);
const buffers = Array.from({ length: BATCH }, (_, i) => table.buffer(i));
const packets = new Float64Array(MAX_STEPS);
const firstMs = new Float64Array(MAX_STEPS);
const lastMs = new Float64Array(MAX_STEPS);

function receiveFor(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  for (;;) {
    const count = recvmmsg(fd, table.address, BATCH, MSG_WAITFORONE, 0);
    const now = performance.now();
    for (let i = 0; i < count; i++) {
      const step = buffers[i].getUint32(0) % MAX_STEPS;
      if (packets[step]++ === 0) firstMs[step] = now;
      lastMs[step] = now;
    }
    if (count <= 0 || now >= end) return;
  }
}

let open = true;
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const step = Number(line);
    const count: SinkCount = { packets: packets[step], seconds: (lastMs[step] - firstMs[step]) / 1000 };
    process.stdout.write(`${JSON.stringify(count)}\n`);
  })
  .on('close', () => (open = false));
process.stdout.write(`${boundPort()}\n`);
while (open) {
  receiveFor(SLICE_MS);
  await nextTurn();
}
