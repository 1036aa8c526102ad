/** What an application meets on a path: a handshake in packets of full size, then data, over TCP from a to b. */
import { fileURLToPath } from 'node:url';
import { HANDSHAKE_LIMIT_MS } from '../metrics.ts';
import { startJob } from '../processes.ts';
import type { Tunnel } from '../tunnel.ts';

const GRACE_MS = 10_000;

export interface ExchangeResult {
  /** Milliseconds; the limit when nothing came. */
  readonly firstByte: number;
  readonly answer: number;
  /** Of TCP payload that arrived; 0 when nothing did. */
  readonly mbps: number;
}

export async function measureExchange(
  { testbed, address }: Tunnel,
  seconds: number,
): Promise<ExchangeResult> {
  const milliseconds = seconds * 1000;
  const timeoutMs = HANDSHAKE_LIMIT_MS + milliseconds + GRACE_MS;
  const server = startJob(testbed, 'b', script('exchange-serve.js', address.b, milliseconds), timeoutMs);
  try {
    const ports = (await server.nextLine()).split(' ').map(Number);
    const words = script('exchange-ask.js', address.b, ...ports, milliseconds, HANDSHAKE_LIMIT_MS);
    const client = startJob(testbed, 'a', words, timeoutMs);
    const { firstByte, answer } = JSON.parse(await client.nextLine()) as Partial<ExchangeResult>;
    const count = JSON.parse(await server.nextLine()) as { bytes: number; milliseconds: number };
    await client.kill();
    return {
      firstByte: firstByte ?? HANDSHAKE_LIMIT_MS,
      answer: answer ?? HANDSHAKE_LIMIT_MS,
      mbps: (count.bytes * 8) / count.milliseconds / 1000,
    };
  } finally {
    await server.kill();
  }
}

function script(name: string, ...words: readonly (string | number)[]): string[] {
  return [process.execPath, fileURLToPath(new URL(name, import.meta.url)), ...words.map(String)];
}
