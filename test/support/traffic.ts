/**
 * Traffic through a tunnel, and what a capture shows of it.
 */
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Namespace } from './netns.ts';
import { PATIENCE_MS } from './process.ts';

const TRANSFER = join(import.meta.dirname, 'tcp-transfer.mjs');

const PING_TRIES = 3;

/** Sends up to three echo requests with `size` bytes of data, one after the other, and expects an answer to one of them. */
export async function expectPing(from: Namespace, to: string, size = 56): Promise<void> {
  const words = ['ping', '-n', '-c', '1', '-W', '5', '-s', String(size), to];
  let said = '';
  for (let i = 0; i < PING_TRIES; i++) {
    const { stdout } = await from.run(words);
    if (stdout.includes(' 1 received')) return;
    said = stdout;
  }
  expect.fail(`ping -s ${size} ${to} in ${from.name}\n${said}`);
}

/**
 * Pings every 10 ms until `count` answers came, and expects none to be missing before the last. With `-w` ping
 * waits for them; without, it waits two round trips after the last request, which a busy machine may exceed.
 */
export async function expectSteadyPing(from: Namespace, to: string, count: number): Promise<void> {
  const words = ['ping', '-n', '-c', String(count), '-i', '0.01', '-w', '60', to];
  const { stdout } = await from.run(words, { timeoutMs: 2 * PATIENCE_MS });
  const answers = pingAnswers(stdout);
  expect(answers.length).toBeGreaterThanOrEqual(count);
  expect(answers).toEqual(answers.map((_, i) => i + 1));
}

/** The numbers of the echo requests that were answered. */
export function pingAnswers(output: string): number[] {
  return [...output.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, number]) => Number(number));
}

/** True when one echo request is answered within a second. */
export async function pings(from: Namespace, to: string): Promise<boolean> {
  const { code } = await from.run(['ping', '-n', '-c', '1', '-W', '1', to]);
  return code === 0;
}

/** Pings until an answer comes; the tunnel has that long to recover. */
export async function expectPingWithin(from: Namespace, to: string, timeoutMs = PATIENCE_MS): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await pings(from, to))) {
    if (Date.now() > deadline) throw new Error(`no answer from ${to} to ${from.name} within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/**
 * Moves `bytes` random bytes, or such as compress well, each way over one TCP connection and compares the SHA-256 at
 * both ends. `address` is the listener's, `asked` what the other end calls it. Returns how long the connection took, in
 * milliseconds.
 */
export async function expectTransfer(
  from: Namespace,
  to: Namespace,
  address: string,
  bytes: number,
  asked = address,
  content: 'random' | 'text' = 'random',
): Promise<number> {
  const node = process.execPath;
  const port = '5001';
  const listener = to.spawn([node, TRANSFER, 'listen', address, port, String(bytes), content]);
  await listener.waitFor(/listening/);
  const connect = [node, TRANSFER, 'connect', asked, port, String(bytes), content];
  // As long as it takes: what hangs is the test's own limit to find.
  const { stdout } = await from.run(connect, { timeoutMs: 10 * PATIENCE_MS });
  await listener.exited;
  const near = digests(stdout);
  const far = digests(listener.log);
  expect(far.received, 'bytes sent are the bytes received').toBe(near.sent);
  expect(near.received, 'bytes returned are the bytes received').toBe(far.sent);
  return near.ms;
}

function digests(output: string): { sent: string; received: string; ms: number } {
  const line = output.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`the transfer did not finish:\n${output}`);
  return JSON.parse(line) as { sent: string; received: string; ms: number };
}

/**
 * The hops of a traceroute, in order, as addresses (`*` for a silent one): with UDP, or as the options say (`-I` ICMP, `-T`
 * TCP).
 */
export async function traceroute(from: Namespace, to: string, ...options: string[]): Promise<string[]> {
  const output = await from.mustRun(['traceroute', '-n', '-q', '1', '-w', '2', '-m', '6', ...options, to]);
  return output
    .split('\n')
    .slice(1)
    .flatMap((line) => line.trim().split(/\s+/)[1] ?? []);
}

/** The MSS option of the first SYN that `device` sees when `from` opens a connection to `address`. */
export async function capturedSynMss(
  from: Namespace,
  address: string,
  capture: { readonly at: Namespace; readonly device: string },
): Promise<number> {
  const filter = address.includes(':') ? 'ip6[6] == 6 and ip6[53] & 2 != 0' : 'tcp[tcpflags] & tcp-syn != 0';
  const tcpdump = capture.at.spawn(['tcpdump', '-n', '-l', '-c', '1', '-i', capture.device, filter]);
  await tcpdump.waitFor(/listening on/);
  await from.run([process.execPath, TRANSFER, 'connect', address, '9', '0']);
  await tcpdump.waitFor(/mss \d+/);
  await tcpdump.stop();
  return Number(/mss (\d+)/.exec(tcpdump.log)?.[1]);
}

const DATAGRAMS = join(import.meta.dirname, 'udp-integrity.mjs');

/** Some 400 a second, so that a stop of the machine does not overrun the receivers' buffers. */
const BURST = '1';
const MOST = '100000';

/** Sends numbered datagrams while `meanwhile` runs, and expects every one to arrive once and whole. */
export async function expectNoLoss(
  from: Namespace,
  to: Namespace,
  address: string,
  meanwhile: () => Promise<void>,
): Promise<void> {
  const node = process.execPath;
  const port = '5002';
  const listener = to.spawn([node, DATAGRAMS, 'listen', address, port]);
  await listener.waitFor(/listening/);
  const sender = from.spawn([node, DATAGRAMS, 'send', address, port, MOST, '300', BURST]);
  await meanwhile();
  sender.signal('SIGTERM');
  await Promise.all([sender.exited, listener.exited]);
  const { sent } = JSON.parse(sender.log) as { sent: number };
  expect(sent).toBeGreaterThan(100);
  expect(JSON.parse(listener.log.replace(/^listening\n/, ''))).toEqual({
    received: sent,
    damaged: 0,
    repeated: 0,
  });
}
