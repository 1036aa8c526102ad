/** `tsvpn version`: what exactly runs here, for reports. */
import { VERSION } from '../control/version.ts';
import { ExitCode } from '../errors.ts';
import type { Command, Io, Invocation } from './command.ts';

export const version: Command = {
  name: 'version',
  summary: 'print the version of tsvpn and of what it runs on',
  usage: ['version [--json]'],
  operands: { min: 0, max: 0 },
  options: { json: { type: 'boolean', help: 'print one JSON object' } },
  examples: [
    { line: 'tsvpn version', does: 'print the versions of tsvpn, Node and OpenSSL' },
    { line: 'tsvpn version --json', does: 'the same for scripts' },
  ],
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const versions = {
    tsvpn: VERSION,
    node: process.versions.node,
    openssl: process.versions.openssl,
    platform: `${process.platform} ${process.arch}`,
  };
  if (invocation.flag('json')) io.out(`${JSON.stringify(versions)}\n`);
  else
    io.out(
      `tsvpn ${versions.tsvpn}\nNode ${versions.node}, OpenSSL ${versions.openssl}, ${versions.platform}\n`,
    );
  return ExitCode.Ok;
}
