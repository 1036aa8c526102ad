/** UDP through a tunnel, from a to b, counted at the receiver. Sizes are those of the inner IP packet. */
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startJob, type Job } from '../processes.ts';
import type { Tunnel } from '../tunnel.ts';
import type { SinkCount } from './udp-receive.ts';
import type { SendOrder, SendReport } from './udp-send.ts';

const IPV4_AND_UDP_HEADERS = 28;
/** One flow with all its steps. */
const TIMEOUT_MS = 120_000;
/** Packets of a step that are still under way are waited for, until no more come. */
const SETTLE_MS = 60;
const MAX_SETTLE_ROUNDS = 30;
/** RFC 2544 asks for none; on a machine with other work a little is allowed. */
const LOSSLESS = 0.001;

export interface StepResult {
  readonly sent: number;
  /** Packets per second that were sent. */
  readonly offered: number;
  /** Packets per second between the first and the last arrival. */
  readonly received: number;
  /** 0 to 1. */
  readonly loss: number;
}

export interface UdpFlow {
  /** Sends for `seconds` at `rate` packets per second, 0 being as fast as possible. */
  step(size: number, rate: number, seconds: number): Promise<StepResult>;
  close(): Promise<void>;
}

export async function openUdpFlow(tunnel: Tunnel): Promise<UdpFlow> {
  const sink = startScript(tunnel, 'b', 'udp-receive.js', [tunnel.address.b]);
  const port = await sink.nextLine();
  const generator = startScript(tunnel, 'a', 'udp-send.js', [tunnel.address.b, port]);
  let steps = 0;
  return {
    step: async (size, rate, seconds) => {
      const order: SendOrder = { step: ++steps, payload: size - IPV4_AND_UDP_HEADERS, rate, seconds };
      const sent = await ask<SendReport>(generator, JSON.stringify(order));
      return resultOf(sent, await settledCount(sink, order.step));
    },
    close: async () => {
      await Promise.all([generator.kill(), sink.kill()]);
    },
  };
}

function startScript(tunnel: Tunnel, end: 'a' | 'b', script: string, words: readonly string[]): Job {
  const path = fileURLToPath(new URL(script, import.meta.url));
  return startJob(tunnel.testbed, end, [process.execPath, path, ...words], TIMEOUT_MS);
}

async function ask<Answer>(job: Job, question: string): Promise<Answer> {
  job.write(question);
  return JSON.parse(await job.nextLine()) as Answer;
}

async function settledCount(sink: Job, step: number): Promise<SinkCount> {
  let count = await ask<SinkCount>(sink, `${step}`);
  for (let round = 0; round < MAX_SETTLE_ROUNDS; round++) {
    await pause(SETTLE_MS);
    const next = await ask<SinkCount>(sink, `${step}`);
    if (next.packets === count.packets) return next;
    count = next;
  }
  return count;
}

function resultOf(sent: SendReport, { packets, seconds }: SinkCount): StepResult {
  return {
    sent: sent.sent,
    offered: sent.sent / sent.seconds,
    received: packets < 2 ? 0 : (packets - 1) / seconds,
    loss: sent.sent === 0 ? 0 : Math.max(0, 1 - packets / sent.sent),
  };
}

export interface UdpSearch {
  /** Inner IP packet, bytes. */
  readonly size: number;
  /** Offered loads of the sweep, packets per second, rising; 0 at the end is as fast as possible. */
  readonly rates: readonly number[];
  readonly secondsPerStep: number;
  /** Bisections between the last load without loss and the first with. */
  readonly bisections: number;
}

export interface UdpSearchResult {
  readonly sweep: readonly (StepResult & { readonly rate: number })[];
  /** Most packets per second that arrived, whatever was lost. */
  readonly most: number;
  /** Highest rate of which less than 0.1 % was lost, packets per second; 0 when every rate lost more. */
  readonly lossless: number;
}

export async function searchUdp(tunnel: Tunnel, search: UdpSearch): Promise<UdpSearchResult> {
  const { size, rates, secondsPerStep, bisections } = search;
  const flow = await openUdpFlow(tunnel);
  try {
    const sweep: (StepResult & { rate: number })[] = [];
    for (const rate of rates) sweep.push({ rate, ...(await flow.step(size, rate, secondsPerStep)) });
    let [good, bad] = bracket(sweep);
    for (let i = 0; i < bisections && bad.offered > good.offered; i++) {
      const rate = Math.sqrt(Math.max(good.offered, 1000) * bad.offered);
      const result = await flow.step(size, rate, secondsPerStep);
      if (result.loss < LOSSLESS) good = result;
      else bad = result;
    }
    return { sweep, most: Math.max(...sweep.map(({ received }) => received)), lossless: good.offered };
  } finally {
    await flow.close();
  }
}

const NOTHING: StepResult = { sent: 0, offered: 0, received: 0, loss: 0 };

/** The last step of the sweep before the first with loss, and that one. */
function bracket(sweep: readonly StepResult[]): [good: StepResult, bad: StepResult] {
  const at = sweep.findIndex(({ loss }) => loss >= LOSSLESS);
  if (at < 0) return [sweep.at(-1) ?? NOTHING, NOTHING];
  return [sweep[at - 1] ?? NOTHING, sweep[at]];
}
