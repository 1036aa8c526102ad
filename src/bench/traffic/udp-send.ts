/**
 * UDP generator, a process of its own: ADDRESS PORT. Takes orders on standard input, one JSON object per line
 * (SendOrder), and answers each with SendReport when it is carried out. Packets are sent by sendmmsg, so that the
 * generator outruns every tunnel; packets the kernel refuses are not counted as sent.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createInterface } from 'node:readline';
import { pauseSync } from '../../control/pause.ts';
import { SOCK_CLOEXEC, SOCK_DGRAM } from '../../ffi/constants.ts';
import { check, sendmmsg, socket } from '../../ffi/libc.ts';
import { AF_INET, encodeEndpoint } from '../../transport/endpoint.ts';
import { messageTable } from './messages.ts';

export interface SendOrder {
  /** Goes with every packet, so that the sink counts each order by itself. */
  readonly step: number;
  /** UDP payload, bytes. */
  readonly payload: number;
  /** Packets per second; 0 is as fast as possible. */
  readonly rate: number;
  readonly seconds: number;
}

export interface SendReport {
  readonly sent: number;
  readonly seconds: number;
}

const BATCH = 64;
const MAX_PAYLOAD = 9000;
/** A generator that was kept from running catches up with this much at most, or it would send bursts. */
const MAX_LAG_SECONDS = 0.005;
/** Least pause, which is also the distance between the bursts of a paced flow. */
const TICK_MS = 0.25;

const [address, port] = process.argv.slice(2);
const fd = check('socket', socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
const table = messageTable(BATCH, MAX_PAYLOAD, {
  shared: true,
  destination: encodeEndpoint(address, Number(port)),
});

function carryOut({ step, payload, rate, seconds }: SendOrder): SendReport {
  table.buffer(0).setUint32(0, step);
  table.setLength(payload);
  const start = performance.now();
  let sent = 0;
  // Where a flow of this rate would stand; a flow without a rate is always one batch behind.
  let credit = 0;
  let last = start;
  for (;;) {
    const now = performance.now();
    if (now - start >= seconds * 1000) return { sent, seconds: (now - start) / 1000 };
    credit = rate === 0 ? BATCH : Math.min(credit + ((now - last) / 1000) * rate, burst(rate));
    last = now;
    if (credit < 1) {
      pauseSync(Math.max(TICK_MS, (1 - credit) / (rate / 1000)));
      continue;
    }
    const count = Math.min(Math.floor(credit), BATCH);
    credit -= count;
    // A refusal (ENOBUFS: a queue is full) is of the first message; the order goes on with the next batch.
    sent += Math.max(0, sendmmsg(fd, table.address, count, 0));
  }
}

function burst(rate: number): number {
  return Math.max(1, rate * MAX_LAG_SECONDS);
}

for await (const line of createInterface({ input: process.stdin })) {
  const report = carryOut(JSON.parse(line) as SendOrder);
  process.stdout.write(`${JSON.stringify(report)}\n`);
  await pause(0);
}
