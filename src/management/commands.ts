/** The command table: stock's commands with stock's answers (OpenVPN 2.6, point-to-point mode). */
import { openvpnStatusLines } from '../control/openvpn-status.ts';
import { VERSION } from '../control/version.ts';
import { atoi, END, failure, success, unsupported, type Command } from './command.ts';
import { KNOWN_SIGNALS, type Desk, type KnownSignal } from './desk.ts';
import { HISTORY_COMMANDS } from './history-commands.ts';
import { SERVER_COMMANDS } from './server-commands.ts';

export const GREETING = ">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info";

/** The OpenVPN whose interface this is, in front: programs look for its number. */
const OPENVPN_VERSION = `OpenVPN 2.6.14 (tsvpn ${VERSION}, its management interface)`;

const MAX_VERB = 15;
const MAX_MUTE = 1_000_000;
/** `test` makes at most so many lines: a client may not fill our memory. */
const MAX_TEST_LINES = 10_000;

function command(name: string, usage: string, help: string, run: Command['run']): Command {
  return { name, usage, help, least: 0, run };
}

function needing(least: number, row: Command): Command {
  return { ...row, least };
}

function leave(name: string): Command {
  return command(name, '', 'End the session.', (desk) => {
    desk.leave();
    return [];
  });
}

function hold({ hold }: Desk, [word]: readonly string[]): readonly string[] {
  switch (word) {
    case undefined:
      return success(`hold=${hold.on ? 1 : 0}`);
    case 'on':
    case 'off':
      hold.on = word === 'on';
      return success(`hold flag set to ${word.toUpperCase()}`);
    case 'release':
      hold.release();
      return success('hold release succeeded');
    default:
      return failure('bad hold command parameter');
  }
}

function signal({ managed, hold }: Desk, [word]: readonly string[]): readonly string[] {
  const known = KNOWN_SIGNALS.find((name): name is KnownSignal => name === word);
  if (known === undefined) return failure(`signal '${word}' is not a known signal type`);
  const restarts = known === 'SIGUSR1' || known === 'SIGHUP';
  if (restarts && hold.prompt !== undefined) return failure(`signal '${known}' is currently ignored`);
  managed.raise(known);
  return success(`signal ${known} thrown`);
}

function verb({ managed }: Desk, [word]: readonly string[]): readonly string[] {
  if (word === undefined) return success(`verb=${managed.verb()}`);
  const level = atoi(word);
  if (level < 0 || level > MAX_VERB) return failure('verb level is out of range');
  managed.setVerb(level);
  return success('verb level changed');
}

function mute({ managed }: Desk, [word]: readonly string[]): readonly string[] {
  if (word === undefined) return success(`mute=${managed.mute.limit}`);
  const limit = atoi(word);
  if (limit < 0 || limit > MAX_MUTE) return failure('mute level is out of range');
  managed.mute.limit = limit;
  return success('mute level changed');
}

function status({ managed }: Desk): readonly string[] {
  const traffic = managed.traffic();
  if (traffic === undefined) return unsupported('status');
  return openvpnStatusLines(traffic, new Date());
}

function loadStats({ managed }: Desk): readonly string[] {
  const { udpRead, udpWrite } = managed.traffic() ?? {};
  return success(`nclients=0,bytesin=${udpRead?.bytes ?? 0},bytesout=${udpWrite?.bytes ?? 0}`);
}

function byteCount(desk: Desk, [word]: readonly string[]): readonly string[] {
  desk.countBytes(Math.max(0, atoi(word)));
  return success('bytecount interval changed');
}

function remoteCount({ managed }: Desk): readonly string[] {
  const remotes = managed.remotes();
  return remotes === undefined ? unsupported('remote-entry-count') : [String(remotes.length), END];
}

/** `remote-entry-get I [J]`: entries from I up to J, J not among them. */
function remoteEntries({ managed }: Desk, [first, end]: readonly string[]): readonly string[] {
  const remotes = managed.remotes();
  if (remotes === undefined) return unsupported('remote-entry-get');
  const lines = remotes.map(({ host, port, proto }, i) => `${i},${host},${port},${proto},enabled`);
  if (first === 'all') return [...lines, END];
  const from = Math.max(0, atoi(first));
  return [...lines.slice(from, end === undefined ? from + 1 : Math.max(from, atoi(end))), END];
}

function remote({ questions }: Desk, [word, host, port]: readonly string[]): readonly string[] {
  const number = atoi(port ?? '');
  const target = host === undefined || number < 1 || number > 65535 ? undefined : { host, port: number };
  const answer = { ACCEPT: 'accept', SKIP: 'skip', MOD: target } as const;
  const meant = Object.hasOwn(answer, word) ? answer[word as keyof typeof answer] : undefined;
  const taken = meant !== undefined && questions.answer('REMOTE', meant);
  return taken ? success('remote command succeeded') : failure('remote command failed');
}

/** Stock is content with an answer that nobody has asked for. */
function proxy({ questions }: Desk, [word]: readonly string[]): readonly string[] {
  if (word !== 'NONE') return failure('proxy command failed');
  questions.answer('PROXY', 'accept');
  return success('proxy command succeeded');
}

function authRetry(desk: Desk, [word]: readonly string[]): readonly string[] {
  if (word === undefined) return success(`auth-retry=${desk.authRetry}`);
  if (!['none', 'interact', 'nointeract'].includes(word)) return failure('bad auth-retry parameter');
  desk.authRetry = word;
  return success('auth-retry parameter changed');
}

function envFilter(desk: Desk, [word]: readonly string[]): readonly string[] {
  if (word !== undefined) desk.envFilter = atoi(word);
  return success(`env_filter_level=${desk.envFilter}`);
}

function version(_desk: Desk, words: readonly string[]): readonly string[] {
  // With a number, the client tells its own version.
  return words.length > 0 ? [] : [`OpenVPN Version: ${OPENVPN_VERSION}`, 'Management Version: 5', END];
}

function test(_desk: Desk, [word]: readonly string[]): readonly string[] {
  const count = Math.min(Math.max(0, atoi(word)), MAX_TEST_LINES);
  return Array.from({ length: count }, (_, i) => `[${i}] This line is output for a test.`);
}

const OWN_COMMANDS: readonly Command[] = [
  ...HISTORY_COMMANDS,
  needing(
    1,
    command('bytecount', 'N', 'Tell bytes received and sent every N seconds; 0 ends that.', byteCount),
  ),
  command('hold', '[on|off|release]', 'Whether starts wait for a release; `release` ends a wait.', hold),
  needing(1, command('signal', 'NAME', `One of ${KNOWN_SIGNALS.join(', ')}.`, signal)),
  command('status', '[1|2|3]', 'Counters; the number makes no difference.', status),
  { ...command('load-stats', '', 'Bytes received and sent since the start.', loadStats), quiet: true },
  command('verb', '[N]', 'How much is logged, 0 to 15.', verb),
  command('mute', '[N]', 'After N warnings of a kind in a row, the rest is counted; 0 shows all.', mute),
  command('pid', '', 'Number of the process.', () => success(`pid=${process.pid}`)),
  command('version', '[N]', "Our version; N tells the client's.", version),
  command('remote-entry-count', '', 'How many remotes there are.', remoteCount),
  {
    ...needing(
      1,
      command('remote-entry-get', 'I|all [J]', 'Remotes from I up to J, counted from 0.', remoteEntries),
    ),
    open: true,
  },
  {
    ...needing(1, command('remote', 'ACCEPT|SKIP|MOD HOST PORT', 'The answer to >REMOTE:.', remote)),
    open: true,
  },
  { ...needing(1, command('proxy', 'NONE', 'The answer to >PROXY:.', proxy)), open: true },
  command('auth-retry', '[none|interact|nointeract]', 'Has no effect here.', authRetry),
  command('env-filter', '[N]', 'Has no effect here.', envFilter),
  command('forget-passwords', '', 'Has no effect here.', () => success('Passwords were forgotten')),
  needing(1, command('test', 'N', `N lines of output, at most ${MAX_TEST_LINES}.`, test)),
  leave('exit'),
  leave('quit'),
];

const help = command('help', '', 'This list.', () => [
  `Management Interface for ${OPENVPN_VERSION}`,
  'Commands:',
  ...COMMANDS.map(({ name, usage, help }) => `${`${name} ${usage}`.padEnd(33)}: ${help}`),
  END,
]);

export const COMMANDS: readonly Command[] = [...OWN_COMMANDS, ...SERVER_COMMANDS, help];
