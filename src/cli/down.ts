/** `tsvpn down`: ends a running tunnel and waits until it is gone. */
import { setTimeout as sleep } from 'node:timers/promises';
import { tunnelName } from '../config/tunnel-name.ts';
import { request } from '../control/client.ts';
import { checkPrivate, runtimeDir } from '../control/runtime-dir.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import type { Command, Invocation, Io } from './command.ts';

/** explicit-exit-notify keeps a stopping tunnel alive for some seconds. */
const GONE_TIMEOUT_MS = 15_000;
const POLL_MS = 50;

export const down: Command = {
  name: 'down',
  summary: 'end a running tunnel',
  usage: ['down NAME', 'down FILE'],
  operands: { min: 1, max: 1 },
  options: {},
  examples: [
    { line: 'sudo tsvpn down site-a', does: 'end the tunnel site-a' },
    { line: 'sudo tsvpn down /etc/tsvpn/site-a.conf', does: 'the same, by its config file' },
  ],
  notes: 'Returns when the tunnel is gone with its device, addresses and routes.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const dir = runtimeDir(io.env);
  const name = tunnelName(invocation.operands[0]);
  const { lockHolder } = await import('../control/lock.ts');
  const { pid } = await requestStop(dir, name);
  for (let waited = 0; waited < GONE_TIMEOUT_MS; waited += POLL_MS) {
    if (lockHolder(name, dir) === undefined) {
      io.err(`tunnel '${name}' is down\n`);
      return ExitCode.Ok;
    }
    await sleep(POLL_MS);
  }
  throw new OperatorError({
    code: 'STILL_RUNNING',
    what: `tunnel '${name}' was told to stop and still runs`,
    fix: `look at its log; to end it by force: kill -9 ${pid} && tsvpn cleanup ${name}`,
    exitCode: ExitCode.Failure,
  });
}

/** Asks by the control socket; a tunnel that has none yet (it is starting) gets SIGTERM. */
async function requestStop(dir: string, name: string): Promise<{ pid: number }> {
  try {
    return await request(dir, name, 'stop');
  } catch (error) {
    if (!(error instanceof OperatorError) || error.code !== 'NOT_RUNNING') throw error;
    checkPrivate(dir);
    const { lockHolder } = await import('../control/lock.ts');
    const pid = lockHolder(name, dir);
    if (!pid) throw error;
    process.kill(pid, 'SIGTERM');
    return { pid };
  }
}
