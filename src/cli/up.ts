/** `tsvpn up`: runs the tunnel of one config file, or of several with a peer each. */
import { COMMAND_LINE, directiveLines, readCommandLine } from '../config/command-line.ts';
import { forgetKeys, loadGateway, type LoadedGateway } from '../config/load.ts';
import { keptWarnings, readAndKeep, readKept, type KeptTexts } from '../config/pipes.ts';
import { checkName, runtimeDir } from '../control/runtime-dir.ts';
import { locateThrown, type ExitCode } from '../errors.ts';
import { numberOption } from './arguments.ts';
import type { Command, Invocation, Io } from './command.ts';
import { dryRun } from './dry-run.ts';
import { receiveTexts } from './kept-texts.ts';
import type { LogOutput } from './log-output.ts';
import type { TunnelOptions } from './run-tunnel.ts';

const DEFAULT_WAIT_SEC = '30';
const LONGEST_WAIT_SEC = 86_400;
/** The least `verb` of `--verbose`. */
const VERBOSE_VERB = 4;

export const up: Command = {
  name: 'up',
  summary: 'run the tunnel of a config file, or of several',
  usage: ['up FILE... [options] [--DIRECTIVE WORD...]'],
  operands: { min: 1, max: Infinity },
  takesDirectives: true,
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
    {
      line: 'sudo tsvpn up site-a.conf --verb 4 --status /run/site-a.status 10',
      does: 'add lines to the config, as on the command line of openvpn',
    },
    { line: 'tsvpn up site-a.conf --dry-run', does: 'see what it would do to this machine' },
  ],
  notes:
    'FILE is an OpenVPN config with a static key (`secret`). Any directive of it can be an option: `--verb 4` is the line\n' +
    '`verb 4` behind FILE. `tsvpn --config FILE ...` takes what `openvpn --config FILE ...` takes, in the same order.\n' +
    'SIGTERM and SIGINT end the tunnel, SIGUSR1 restarts the connections, SIGHUP reads the config again (`tsvpn reload`),\n' +
    'SIGUSR2 logs statistics. The device and everything on it vanish with the process, also after kill -9.\n' +
    'Environment: TSVPN_LOG=human|json, TSVPN_CRYPTO=ipsecmb|openssl-mb|openssl|noble,\n' +
    'TSVPN_RUNTIME_DIR (/run/tsvpn), NO_COLOR.',
  run,
};

/** What to run, as the command line says it. */
interface Request {
  /** Configs that came by pipes. */
  readonly kept: KeptTexts;
  readonly load: (running: boolean) => LoadedGateway;
  /** Undefined: as the config is called. */
  readonly name: string | undefined;
  readonly daemon: boolean;
  readonly waitSec: number | undefined;
  readonly dryRun: boolean;
  readonly logFormat: string | undefined;
  readonly offload: boolean;
  readonly verbose: boolean;
}

/** `tsvpn --NAME WORD...` is what `openvpn --NAME WORD...` is: the words are directives, all of them. */
export function runAsOpenVpn(words: readonly string[], io: Io): Promise<ExitCode> {
  const kept = receiveTexts(io.env);
  return start(
    {
      kept,
      load: loader([], words, kept),
      name: undefined,
      daemon: false,
      waitSec: undefined,
      dryRun: false,
      // Who starts it in this way reads its log in this way.
      logFormat: io.env.TSVPN_LOG ? undefined : 'human',
      offload: true,
      verbose: false,
    },
    io,
  );
}

function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const waitText = invocation.value('wait');
  const kept = receiveTexts(io.env);
  return start(
    {
      kept,
      load: loader(invocation.operands, invocation.directives, kept),
      name: invocation.value('name'),
      daemon: invocation.flag('daemon'),
      waitSec: waitText === undefined ? undefined : numberOption(waitText, 'wait', 1, LONGEST_WAIT_SEC),
      dryRun: invocation.flag('dry-run'),
      logFormat: invocation.value('log-format'),
      offload: !invocation.flag('no-offload'),
      verbose: invocation.flag('verbose'),
    },
    io,
  );
}

/** Reads the same again at any time, whatever has become of the working directory. */
function loader(
  operands: readonly string[],
  directives: readonly string[],
  kept: KeptTexts,
): Request['load'] {
  const cwd = process.cwd();
  const asOpenVpn = readCommandLine(directives);
  const [files, commandLine] =
    operands.length > 0
      ? [operands, { before: [], after: directiveLines(directives) }]
      : [[asOpenVpn.file ?? COMMAND_LINE], asOpenVpn];
  return (running) => {
    if (!running) {
      return loadGateway(files, { cwd, commandLine, read: (path) => readAndKeep(path, kept) });
    }
    const read = (path: string) => readKept(path, kept);
    const { config, keys } = loadGateway(files, { cwd, commandLine, running, read });
    return { config: { ...config, warnings: [...config.warnings, ...keptWarnings(kept)] }, keys };
  };
}

async function start(request: Request, io: Io): Promise<ExitCode> {
  const loaded = request.load(false);
  const name = request.name ?? loaded.config.name;
  checkName(name);
  if (request.dryRun) {
    forgetKeys(loaded);
    return dryRun(loaded.config, io);
  }
  const { useFewThreads } = await import('./few-threads.ts');
  useFewThreads(io.env);
  const { isDaemonProcess, startDaemon } = await import('./daemon.ts');
  if (isDaemonProcess(io.env)) return inBackground(request, io, loaded, name);
  if (!goesToBackground(request, io, loaded)) {
    return runLogged(request, io, loaded, {
      name,
      waitSec: request.waitSec,
      report: () => {},
      daemon: false,
    });
  }
  forgetKeys(loaded);
  const log = await logPlace(loaded);
  return startDaemon(
    { name, runtimeDir: runtimeDir(io.env), waitSec: request.waitSec, log, kept: request.kept },
    io,
  );
}

/** Where the log goes, in words; undefined when the config does not say. */
async function logPlace({ config }: LoadedGateway): Promise<string | undefined> {
  const { logFile, syslog } = config.process;
  const { hasSyslog } = await import('../control/syslog.ts');
  return logFile?.path ?? (syslog !== undefined && hasSyslog() ? `syslog, under ${syslog}` : undefined);
}

/** systemd wants the process it has started (`Type=notify`), as stock knows. */
function goesToBackground({ daemon }: Request, io: Io, { config }: LoadedGateway): boolean {
  return daemon || (config.process.daemon && !io.env.NOTIFY_SOCKET);
}

async function inBackground(
  request: Request,
  io: Io,
  loaded: LoadedGateway,
  name: string,
): Promise<ExitCode> {
  const { reportFailure, reportToParent } = await import('./daemon.ts');
  const report = (message: Parameters<typeof reportToParent>[0]) => void reportToParent(message);
  // As stock: a daemon keeps no directory busy, unless the config names one.
  process.chdir(loaded.config.scripts.directory ?? '/');
  try {
    return await runLogged(request, io, loaded, { name, waitSec: undefined, report, daemon: true });
  } catch (error) {
    await reportFailure(error);
    throw error;
  }
}

/** An error that ends it is told to the terminal, wherever the log goes. */
async function runLogged(
  { load, logFormat: format, offload, verbose }: Request,
  io: Io,
  { config, keys }: LoadedGateway,
  manner: Pick<TunnelOptions, 'name' | 'waitSec' | 'report' | 'daemon'>,
): Promise<ExitCode> {
  const { runTunnel } = await import('./run-tunnel.ts');
  const { openLogOutput } = await import('./log-output.ts');
  const { env } = io;
  const { name } = manner;
  const verb = verbose ? Math.max(config.log.verb, VERBOSE_VERB) : config.log.verb;
  const peerNames = { shown: false };
  const forcedCrypto = env.TSVPN_CRYPTO || undefined;
  const own = { config, keys, load, peerNames, verbose, offload, forcedCrypto, env };
  let output: LogOutput | undefined;
  try {
    output = openLogOutput({ config, name, verb, format, env, peerNames });
    const { log, listeners, mute } = output;
    return await runTunnel({ ...own, log, listeners, mute, runtimeDir: runtimeDir(env), ...manner });
  } catch (thrown) {
    const error = locateThrown(thrown, config.lines);
    output?.failed(error);
    throw error;
  }
}
