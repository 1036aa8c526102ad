/**
 * Pings, a process of its own: ADDRESS COUNT INTERVAL_MS. Writes the round-trip times in milliseconds of those that
 * were answered, as one JSON array.
 */
import { randomInt } from 'node:crypto';
import { pauseSync } from '../../control/pause.ts';
import { IPPROTO_ICMP, SOCK_CLOEXEC, SOCK_RAW, SOL_SOCKET, SO_RCVTIMEO } from '../../ffi/constants.ts';
import { check, recv, sendto, setsockopt, socket } from '../../ffi/libc.ts';
import { echoRequest, parseAnswer } from '../../lab/icmp.ts';
import { AF_INET, encodeEndpoint } from '../../transport/endpoint.ts';

const SOCKADDR_IN_SIZE = 16;
const ANSWER_TIMEOUT_MS = 1000;

const [address, count, intervalMs] = process.argv.slice(2);
const fd = check('socket(ICMP)', socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
// struct timeval: seconds (i64), microseconds (i64).
const timeout = new Uint8Array(Uint32Array.of(ANSWER_TIMEOUT_MS / 1000, 0, 0, 0).buffer);
check('setsockopt(SO_RCVTIMEO)', setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length));
const destination = encodeEndpoint(address, 0);
const ident = randomInt(0x10000);
const buffer = new Uint8Array(2048);

function roundTrip(sequence: number): number | undefined {
  const request = echoRequest(ident, sequence & 0xffff);
  const start = performance.now();
  if (sendto(fd, request, request.length, 0, destination, SOCKADDR_IN_SIZE) < 0) return undefined;
  for (;;) {
    const size = recv(fd, buffer, buffer.length, 0);
    const elapsed = performance.now() - start;
    if (size < 0 || elapsed > ANSWER_TIMEOUT_MS) return undefined;
    const answer = parseAnswer(buffer.subarray(0, size));
    const ours =
      answer?.kind === 'reply' && answer.ident === ident && answer.sequence === (sequence & 0xffff);
    if (ours) return elapsed;
  }
}

const times: number[] = [];
for (let sequence = 1; sequence <= Number(count); sequence++) {
  const time = roundTrip(sequence);
  if (time !== undefined) times.push(time);
  pauseSync(Number(intervalMs));
}
process.stdout.write(`${JSON.stringify(times)}\n`);
