/** Which running tunnel a command is about, when it is not told: the only one. */
import { tunnelName } from '../config/tunnel-name.ts';
import { instances } from '../control/client.ts';
import { runtimeDir } from '../control/runtime-dir.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import { usageError } from './arguments.ts';
import type { Io, OptionSpec } from './command.ts';

export const TUNNEL_OPTION: OptionSpec = {
  type: 'string',
  value: 'NAME',
  help: 'the tunnel, when several are running',
};

export interface Target {
  readonly dir: string;
  readonly name: string;
}

/** `given` is a name or a config file. Throws OperatorError when nothing runs, a usage error when several do. */
export async function whichTunnel(given: string | undefined, how: string, io: Io): Promise<Target> {
  const dir = runtimeDir(io.env);
  if (given !== undefined) return { dir, name: tunnelName(given) };
  const names = (await instances(dir)).map(({ name }) => name);
  if (names.length === 1) return { dir, name: names[0] };
  if (names.length > 1) {
    throw usageError('several tunnels are running', `say which with ${how}: ${names.join(', ')}`);
  }
  throw new OperatorError({
    code: 'NOT_RUNNING',
    what: 'no tunnel is running',
    fix: 'start one with `tsvpn up FILE`',
    exitCode: ExitCode.Failure,
  });
}
