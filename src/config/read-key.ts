/** From a `secret` line or block to the key itself. */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { checkKeyStrength, parseStaticKey } from '../crypto/static-key.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import type { SourcePosition } from '../errors.ts';
import type { Built, Secret } from './build.ts';
import { readRegularFile } from './files.ts';
import { warn } from './findings.ts';
import type { Findings } from './findings.ts';

/** Warns about a file with the key in it that others may read, as stock does for key files. */
export function checkMode(
  findings: Findings,
  path: string,
  mode: number,
  what: string,
  where: SourcePosition,
): void {
  if ((mode & 0o077) === 0) return;
  const everybody = (mode & 0o004) !== 0;
  const reader = everybody
    ? 'EVERYBODY on this machine can read it'
    : 'its group or others have access to it';
  warn(findings, where, 'KEY_FILE_MODE', `${what} ${path} is not private: ${reader}`, {
    why: 'whoever reads the key can read and forge all traffic of the tunnel, past traffic included',
    fix: `chmod 600 ${path}`,
  });
}

type KeyFile = Extract<Secret, { kind: 'file' }>;

/** What to do about a key file that cannot be read. */
function keyFileFix({ path, written, where }: KeyFile, problem: string, cwd: string): string {
  if (problem.includes('permission'))
    return `run tsvpn as root (sudo), or give the file to this user: chown ${process.geteuid?.() ?? '"$USER"'} ${path} && chmod 600 ${path}`;
  const beside = resolve(cwd, dirname(where.file), written);
  if (beside !== path && existsSync(beside))
    return `as in OpenVPN, names start from the working directory: write \`secret ${beside}\`, or start tsvpn in ${dirname(beside)}`;
  return 'name the key file behind `secret`; `tsvpn genkey FILE` makes one, to be copied to both ends';
}

/** The text of the key with its place, or undefined (recorded). */
function readSecret(
  secret: Secret,
  findings: Findings,
  cwd: string,
): { text: Uint8Array; file: string; firstLine: number } | undefined {
  if (secret.kind === 'inline') {
    return { text: Buffer.from(secret.text), file: secret.where.file, firstLine: secret.firstLine };
  }
  const content = readRegularFile(secret.path);
  if ('problem' in content) {
    findings.errors.push(
      new OperatorError({
        code: 'KEY_FILE',
        what: `the key file ${secret.path} ${content.problem}`,
        fix: keyFileFix(secret, content.problem, cwd),
        where: secret.where,
        exitCode: ExitCode.Key,
      }),
    );
    return undefined;
  }
  checkMode(findings, secret.path, content.mode, 'the key file', secret.where);
  return { text: content.bytes, file: secret.path, firstLine: 1 };
}

/** The peer's key: 256 bytes that belong to the caller, or undefined (recorded). */
export function readKey({ config, secret }: Built, findings: Findings, cwd: string): Uint8Array | undefined {
  const source = secret && readSecret(secret, findings, cwd);
  if (source === undefined) return undefined;
  try {
    const key = parseStaticKey(source.text, source);
    if (config !== undefined) checkKeyStrength(key, config.cipher, config.key.where);
    return key;
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    findings.errors.push(error);
    return undefined;
  } finally {
    source.text.fill(0);
  }
}
