/** `tsvpn genkey`: a new static key, byte for byte what `openvpn --genkey secret FILE` writes. */
import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { formatStaticKey, generateStaticKey, keyFingerprint } from '../crypto/static-key.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import { usageError } from './arguments.ts';
import type { Command, Invocation, Io } from './command.ts';

export const genkey: Command = {
  name: 'genkey',
  summary: 'make a new static key',
  usage: ['genkey [FILE]', 'genkey secret [FILE]'],
  operands: { min: 0, max: 2 },
  options: {},
  examples: [
    { line: 'tsvpn genkey static.key', does: 'write a new key to static.key, readable by you alone' },
    { line: 'tsvpn genkey', does: 'print a new key' },
  ],
  notes:
    'Both ends need the same key: copy the file over a channel you trust (scp), and compare the fingerprints.\n' +
    'An existing file is never overwritten. The format is that of `openvpn --genkey secret FILE`.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const file = fileOperand(invocation.operands);
  const key = generateStaticKey();
  const text = formatStaticKey(key);
  const fingerprint = keyFingerprint(key);
  key.fill(0);
  try {
    if (file === undefined) {
      // Stock prints one more line feed than it writes to a file.
      io.out(`${text.toString('latin1')}\n`);
    } else {
      writeNewFile(file, text);
      io.err(`wrote a new key to ${file} (mode 0600, fingerprint ${fingerprint})\n`);
    }
  } finally {
    text.fill(0);
  }
  return ExitCode.Ok;
}

/** The word `secret` in front of FILE is stock's key type, and the only one we make. */
function fileOperand(operands: readonly string[]): string | undefined {
  const [first, second] = operands;
  if (first === 'secret') return second;
  if (second === undefined) return first;
  throw usageError(
    `key type '${first}' is not supported`,
    'write `tsvpn genkey FILE` or `tsvpn genkey secret FILE`',
  );
}

/** Creates `path` with mode 0600. Throws OperatorError when it exists or cannot be written. */
export function writeNewFile(path: string, content: Uint8Array): void {
  let fd: number;
  try {
    fd = openSync(path, 'wx', 0o600);
  } catch (cause) {
    throw cannotCreate(path, cause as NodeJS.ErrnoException);
  }
  try {
    for (let at = 0; at < content.length;) at += writeSync(fd, content, at);
  } catch (cause) {
    unlinkSync(path);
    throw cannotCreate(path, cause as NodeJS.ErrnoException);
  } finally {
    closeSync(fd);
  }
}

function cannotCreate(path: string, cause: NodeJS.ErrnoException): OperatorError {
  if (cause.code === 'EEXIST') {
    return new OperatorError({
      code: 'FILE_EXISTS',
      what: `${path} exists already`,
      why: 'overwriting a key in use would cut off the other end',
      fix: `choose another name, or move it away first: mv ${path} ${path}.old`,
      exitCode: ExitCode.Failure,
      cause,
    });
  }
  return new OperatorError({
    code: 'FILE_CREATE',
    what: `cannot write ${path}`,
    why: cause.message,
    fix: 'choose a directory that exists and that you may write to',
    exitCode: ExitCode.Failure,
    cause,
  });
}
