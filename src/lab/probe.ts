/** ping and traceroute from inside a namespace, over a raw ICMP socket. */
import { randomInt } from 'node:crypto';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { parseAddress } from '../packet/address.ts';
import {
  AF_INET,
  IPPROTO_ICMP,
  IPPROTO_IP,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_SOCKET,
  SO_RCVTIMEO,
} from '../ffi/constants.ts';
import { check, close, recv, sendto, setsockopt, socket } from '../ffi/libc.ts';
import { echoRequest, parseAnswer, type EchoAnswer } from './icmp.ts';
import { inNamespace, type NetworkNamespace } from './namespaces.ts';

const IP_TTL = 2;

/** One blocking receive: short, so that Ctrl-C is heard in between. */
const RECEIVE_SLICE_MS = 20;
const ANSWER_TIMEOUT_MS = 1000;
const PING_PAUSE_MS = 50;
const PING_TTL = 64;
const TRIES_PER_HOP = 2;
const MAX_HOPS = 6;

interface TimedAnswer extends EchoAnswer {
  readonly rttMs: number;
}

/** Round-trip times in milliseconds of those of `count` pings that were answered. */
export async function ping(
  from: NetworkNamespace,
  to: string,
  count: number,
  signal: AbortSignal,
): Promise<number[]> {
  return withProber(from, async (probe) => {
    const rtts: number[] = [];
    for (let sequence = 1; sequence <= count; sequence++) {
      if (sequence > 1) await pause(PING_PAUSE_MS);
      signal.throwIfAborted();
      const answer = await probe(to, PING_TTL, sequence);
      if (answer?.kind === 'reply' && answer.source === to) rtts.push(answer.rttMs);
    }
    return rtts;
  });
}

/** Addresses that answered at TTL 1, 2, ... up to the destination; undefined for a silent hop. */
export async function traceroute(
  from: NetworkNamespace,
  to: string,
  signal: AbortSignal,
): Promise<(string | undefined)[]> {
  return withProber(from, async (probe) => {
    const hops: (string | undefined)[] = [];
    for (let ttl = 1; ttl <= MAX_HOPS; ttl++) {
      let answer: TimedAnswer | undefined;
      for (let attempt = 0; attempt < TRIES_PER_HOP && answer === undefined; attempt++) {
        signal.throwIfAborted();
        answer = await probe(to, ttl, ttl * TRIES_PER_HOP + attempt);
      }
      hops.push(answer?.source);
      if (answer !== undefined && answer.kind !== 'time-exceeded') break;
    }
    return hops;
  });
}

type Probe = (to: string, ttl: number, sequence: number) => Promise<TimedAnswer | undefined>;

/** A socket stays in the namespace it was created in. */
async function withProber<Result>(
  from: NetworkNamespace,
  use: (probe: Probe) => Promise<Result>,
): Promise<Result> {
  const fd = inNamespace(from, () =>
    check('socket(ICMP)', socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP)),
  );
  const ident = randomInt(0x10000);
  try {
    setReceiveTimeout(fd);
    return await use((to, ttl, sequence) => probeOnce(fd, ident, to, ttl, sequence));
  } finally {
    close(fd);
  }
}

/** struct timeval: seconds (i64), microseconds (i64). */
function setReceiveTimeout(fd: number): void {
  const timeout = new Uint8Array(16);
  new DataView(timeout.buffer).setUint32(8, RECEIVE_SLICE_MS * 1000, true);
  check('setsockopt(SO_RCVTIMEO)', setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length));
}

async function probeOnce(
  fd: number,
  ident: number,
  to: string,
  ttl: number,
  sequence: number,
): Promise<TimedAnswer | undefined> {
  check('setsockopt(IP_TTL)', setsockopt(fd, IPPROTO_IP, IP_TTL, Uint8Array.of(ttl, 0, 0, 0), 4));
  const request = echoRequest(ident, sequence);
  const destination = new Uint8Array(16);
  destination[0] = AF_INET;
  destination.set(parseAddress(to), 4);
  const start = performance.now();
  // A full queue or a missing route is a probe without an answer.
  if (sendto(fd, request, request.length, 0, destination, destination.length) < 0) return undefined;
  const buffer = new Uint8Array(2048);
  while (performance.now() - start < ANSWER_TIMEOUT_MS) {
    const size = recv(fd, buffer, buffer.length, 0);
    const rttMs = performance.now() - start;
    const answer = size > 0 ? parseAnswer(buffer.subarray(0, size)) : undefined;
    if (answer?.ident === ident && answer.sequence === sequence) return { ...answer, rttMs };
    await nextTurn();
  }
  return undefined;
}
