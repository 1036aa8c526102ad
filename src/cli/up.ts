/** `tsvpn up`: runs the tunnel of one config file, or of several with a peer each. */
import { loadGateway, type LoadedGateway } from '../config/load.ts';
import { checkName, runtimeDir } from '../control/runtime-dir.ts';
import type { ExitCode } from '../errors.ts';
import { numberOption } from './arguments.ts';
import type { Command, Invocation, Io } from './command.ts';
import { dryRun } from './dry-run.ts';
import type { TunnelOptions } from './run-tunnel.ts';

const DEFAULT_WAIT_SEC = '30';
const LONGEST_WAIT_SEC = 86_400;
/** The least `verb` of `--verbose`. */
const VERBOSE_VERB = 4;

export const up: Command = {
  name: 'up',
  summary: 'run the tunnel of a config file, or of several',
  usage: ['up FILE... [options]'],
  operands: { min: 1, max: Infinity },
  options: {
    daemon: {
      type: 'boolean',
      short: 'd',
      help: 'return once the tunnel runs; it goes on in the background',
    },
    wait: {
      type: 'string',
      value: 'SEC',
      bare: DEFAULT_WAIT_SEC,
      help:
        `fail with exit code 6 unless every peer answers within SEC (${DEFAULT_WAIT_SEC}) seconds;\n` +
        'with --daemon: return when they answer, and keep the tunnel up if they do not',
    },
    name: { type: 'string', value: 'NAME', help: "name of the tunnel (the first file's name without .conf)" },
    'dry-run': {
      type: 'boolean',
      help: 'print the `ip` commands that equal what would be done, and do nothing',
    },
    'log-format': {
      type: 'string',
      value: 'human|json',
      help: 'human on a terminal and json otherwise, unless given',
    },
    'no-offload': {
      type: 'boolean',
      help: 'move single packets: no TSO on the device, no GSO and GRO on the socket',
    },
    verbose: { type: 'boolean', short: 'v', help: 'log the `ip` commands and everything of verb 4' },
  },
  examples: [
    { line: 'sudo tsvpn up site-a.conf', does: 'run the tunnel in the foreground; Ctrl-C ends it' },
    {
      line: 'sudo tsvpn up site-a.conf --daemon --wait',
      does: 'start it in the background, return when the peer answers',
    },
    {
      line: 'sudo tsvpn up site-b.conf site-c.conf --name hub',
      does: 'join several peers: one process, one device, one routing table',
    },
    { line: 'tsvpn up site-a.conf --dry-run', does: 'see what it would do to this machine' },
  ],
  notes:
    'FILE is an OpenVPN config with a static key (`secret`). SIGTERM and SIGINT end the tunnel, SIGUSR1 restarts the\n' +
    'connections, SIGHUP reads the config again (`tsvpn reload`), SIGUSR2 logs statistics. The device and everything\n' +
    'on it vanish with the process, also after kill -9.\n' +
    'Environment: TSVPN_LOG=human|json, TSVPN_CRYPTO=ipsecmb|openssl-mb|openssl|noble,\n' +
    'TSVPN_RUNTIME_DIR (/run/tsvpn), NO_COLOR.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const waitText = invocation.value('wait');
  const waitSec = waitText === undefined ? undefined : numberOption(waitText, 'wait', 1, LONGEST_WAIT_SEC);
  const loaded = loadGateway(invocation.operands);
  const name = invocation.value('name') ?? loaded.config.name;
  checkName(name);
  if (invocation.flag('dry-run')) {
    wipe(loaded);
    return dryRun(loaded.config, io);
  }
  const { isDaemonProcess, startDaemon } = await import('./daemon.ts');
  if (isDaemonProcess(io.env)) return inBackground(invocation, io, loaded, name);
  if (!goesToBackground(invocation, io, loaded)) return inForeground(invocation, io, loaded, name, waitSec);
  wipe(loaded);
  const { logFile, syslog } = loaded.config.process;
  const { hasSyslog } = await import('../control/syslog.ts');
  const log = logFile?.path ?? (syslog !== undefined && hasSyslog() ? `syslog, under ${syslog}` : undefined);
  return startDaemon(
    { args: backgroundArgs(invocation, name), name, runtimeDir: runtimeDir(io.env), waitSec, log },
    io,
  );
}

/** systemd wants the process it has started (`Type=notify`), as stock knows. */
function goesToBackground(invocation: Invocation, io: Io, { config }: LoadedGateway): boolean {
  return invocation.flag('daemon') || (config.process.daemon && !io.env.NOTIFY_SOCKET);
}

function wipe({ keys }: LoadedGateway): void {
  for (const key of keys) key.fill(0);
}

function backgroundArgs(invocation: Invocation, name: string): string[] {
  const format = invocation.value('log-format');
  return [
    'up',
    `--name=${name}`,
    ...(format === undefined ? [] : [`--log-format=${format}`]),
    ...(invocation.flag('verbose') ? ['--verbose'] : []),
    ...(invocation.flag('no-offload') ? ['--no-offload'] : []),
    '--',
    ...invocation.operands,
  ];
}

async function inBackground(
  invocation: Invocation,
  io: Io,
  loaded: LoadedGateway,
  name: string,
): Promise<ExitCode> {
  const { reportFailure, reportToParent } = await import('./daemon.ts');
  const report = (message: Parameters<typeof reportToParent>[0]) => void reportToParent(message);
  try {
    return await runLogged(invocation, io, loaded, { name, waitSec: undefined, report, daemon: true });
  } catch (error) {
    await reportFailure(error);
    throw error;
  }
}

async function inForeground(
  invocation: Invocation,
  io: Io,
  loaded: LoadedGateway,
  name: string,
  waitSec: number | undefined,
): Promise<ExitCode> {
  return runLogged(invocation, io, loaded, { name, waitSec, report: () => {}, daemon: false });
}

/** An error that ends it is told to the terminal, wherever the log goes. */
async function runLogged(
  invocation: Invocation,
  io: Io,
  { config, keys }: LoadedGateway,
  manner: Pick<TunnelOptions, 'name' | 'waitSec' | 'report' | 'daemon'>,
): Promise<ExitCode> {
  const { runTunnel } = await import('./run-tunnel.ts');
  const { openLogOutput } = await import('./log-output.ts');
  const { env } = io;
  const { name } = manner;
  const verbose = invocation.flag('verbose');
  const verb = verbose ? Math.max(config.log.verb, VERBOSE_VERB) : config.log.verb;
  const peerNames = { shown: false };
  const format = invocation.value('log-format');
  const { restore, ...output } = openLogOutput({ config, name, verb, format, env, peerNames });
  const forcedCrypto = env.TSVPN_CRYPTO || undefined;
  const offload = !invocation.flag('no-offload');
  const own = { config, keys, ...output, peerNames, verbose, offload, forcedCrypto, env };
  try {
    return await runTunnel({ ...own, runtimeDir: runtimeDir(env), ...manner });
  } catch (error) {
    restore();
    throw error;
  }
}
