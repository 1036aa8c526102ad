/** A TCP transfer between two namespaces, by two Node processes (transfer-receive.ts, transfer-send.ts). */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { inNamespace, type NetworkNamespace } from './namespaces.ts';
import type { Reaper } from './reaper.ts';

/** A stalled transfer is a failed one. */
const TIMEOUT_MS = 120_000;

export interface Transfer {
  readonly bytes: number;
  /** From the connection's start to its end, at the receiver. */
  readonly seconds: number;
  readonly intact: boolean;
}

export interface TransferEnd {
  readonly namespace: NetworkNamespace;
  readonly address: string;
}

export async function transfer(
  from: TransferEnd,
  to: TransferEnd,
  bytes: number,
  reaper: Reaper,
  signal: AbortSignal,
): Promise<Transfer> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const receiver = startScript('transfer-receive.js', [to.address], to.namespace, reaper, limit);
  const port = await receiver.nextLine();
  const words = [to.address, port, String(bytes)];
  const sender = startScript('transfer-send.js', words, from.namespace, reaper, limit);
  const [sent, answer] = await Promise.all([sender.nextLine(), receiver.nextLine()]);
  const received = JSON.parse(answer) as { bytes: number; seconds: number; sha256: string };
  const intact = received.bytes === bytes && received.sha256 === sent;
  return { bytes: received.bytes, seconds: received.seconds, intact };
}

/** Starts one of the compiled scripts in the namespace. `nextLine` rejects when the script ends without one. */
function startScript(
  script: string,
  words: readonly string[],
  namespace: NetworkNamespace,
  reaper: Reaper,
  signal: AbortSignal,
): { nextLine(): Promise<string> } {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = inNamespace(namespace, () =>
    spawn(process.execPath, [path, ...words], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] }),
  );
  reaper.tell(`process ${child.pid}`);
  const kill = () => child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  child.once('close', () => {
    reaper.tell(`ended ${child.pid}`);
    signal.removeEventListener('abort', kill);
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    nextLine: async () => {
      const { value, done } = await lines.next();
      signal.throwIfAborted();
      if (done) throw new Error(`${script} ended without an answer: ${complaint.trim()}`);
      return value;
    },
  };
}
