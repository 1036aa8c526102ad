/** What `openvpn --NAME ...` does besides running a tunnel: key files, lists, persistent devices. */
import { directiveLines } from '../config/command-line.ts';
import type { Line } from '../config/lexer.ts';
import { CIPHERS, DIGESTS, type CipherSpec } from '../crypto/algorithms.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import { parseArguments } from './arguments.ts';
import type { Io } from './command.ts';
import { genkey } from './genkey.ts';

/** The words behind a directive; undefined when it is not there. */
type WordsOf = (name: string) => readonly string[] | undefined;

/** Runs the command that is among `args`, or returns undefined when they mean a tunnel. */
export async function runOpenVpnCommand(args: readonly string[], io: Io): Promise<ExitCode | undefined> {
  const lines = directiveLines(args);
  const wordsOf: WordsOf = (name) => lastOf(lines, name)?.words.map(({ text }) => text);
  const genkeyWords = wordsOf('genkey');
  if (genkeyWords !== undefined) {
    // `--genkey secret FILE` since 2.5, `--genkey --secret FILE` before.
    const operands = genkeyWords.length > 0 ? genkeyWords : (wordsOf('secret')?.slice(0, 1) ?? []);
    return genkey.run(parseArguments(genkey, operands), io);
  }
  if (wordsOf('show-ciphers') !== undefined) return print(cipherList(), io);
  if (wordsOf('show-digests') !== undefined) return print(digestList(), io);
  if (wordsOf('mktun') !== undefined) throw noDevice('mktun', 'add', wordsOf);
  if (wordsOf('rmtun') !== undefined) throw noDevice('rmtun', 'del', wordsOf);
  return undefined;
}

function lastOf(lines: readonly Line[], name: string): Line | undefined {
  return lines.findLast((line) => line.name === name);
}

function print(lines: readonly string[], io: Io): ExitCode {
  io.out(`${lines.join('\n')}\n`);
  return ExitCode.Ok;
}

function cipherList(): string[] {
  const row = ({ name, keySize, blockSize, legacy }: CipherSpec) =>
    `${name}  (${keySize * 8} bit key, ${blockSize * 8} bit block${legacy ? ', with `providers legacy default`' : ''})`;
  const isLong = ({ blockSize }: CipherSpec) => blockSize >= 16;
  return [
    'Ciphers for `cipher` in static-key mode, which has CBC only:',
    '',
    ...CIPHERS.filter(isLong).map(row),
    '',
    'Blocks of 64 bits are no longer safe (SWEET32); for old peers only:',
    '',
    ...CIPHERS.filter((cipher) => !isLong(cipher)).map(row),
  ];
}

function digestList(): string[] {
  return [
    'Digests for `auth`:',
    '',
    ...DIGESTS.map(({ name, size }) => `${name} ${size * 8} bit digest size`),
  ];
}

function noDevice(directive: string, verb: 'add' | 'del', wordsOf: WordsOf): OperatorError {
  const [name = 'tun'] = wordsOf('dev') ?? [];
  const [type = name.startsWith('tap') ? 'tap' : 'tun'] = wordsOf('dev-type') ?? [];
  const device = /\d$/.test(name) || wordsOf('dev-type') !== undefined ? name : `${name}0`;
  const owners = (['user', 'group'] as const).flatMap((kind) => {
    const [owner] = verb === 'add' ? (wordsOf(kind) ?? []) : [];
    return owner === undefined ? [] : [`${kind} ${owner}`];
  });
  return new OperatorError({
    code: 'OPENVPN_COMMAND',
    what: `--${directive} is not for tsvpn`,
    why: 'iproute2 makes and removes persistent devices, for all programs alike',
    fix: ['ip', 'tuntap', verb, 'dev', device, 'mode', type, ...owners].join(' '),
    exitCode: ExitCode.Usage,
  });
}
