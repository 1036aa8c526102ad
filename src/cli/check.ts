/** `tsvpn check`: everything worth knowing about a config file, with the fix for each finding. */
import { explain, type Finding } from '../config/explain.ts';
import { examineFiles } from '../config/load.ts';
import { ExitCode } from '../errors.ts';
import { usageError } from './arguments.ts';
import type { Command, Invocation, Io } from './command.ts';
import { renderFindings } from './render-error.ts';

const PEERS = ['tsvpn', '2.4', '2.6', '2.7'];
/** Findings that concern some peers only. */
const ONLY_FOR: Readonly<Record<string, string>> = { CHECK_OPENVPN_27: '2.7' };

export const check: Command = {
  name: 'check',
  summary: 'look a config file over and say what to improve',
  usage: ['check FILE [--json] [--peer tsvpn|2.4|2.6|2.7]'],
  operands: { min: 1, max: 1 },
  options: {
    json: { type: 'boolean', help: 'print one JSON object (schema tsvpn.check/1)' },
    peer: {
      type: 'string',
      value: 'WHAT',
      help: "what the peer runs: tsvpn, or OpenVPN's version 2.4, 2.6 or 2.7",
    },
  },
  examples: [
    { line: 'tsvpn check site-a.conf', does: 'list errors, warnings and remarks, each with its fix' },
    {
      line: 'tsvpn check site-a.conf --peer 2.6',
      does: 'leave out what does not concern a peer with OpenVPN 2.6',
    },
    { line: 'tsvpn check site-a.conf --json | jq -r .findings[].code', does: 'the same for scripts' },
  ],
  notes: 'The exit code is 0 when the file can be used, 2 when the config and 3 when the key is at fault.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const [file] = invocation.operands;
  const peer = invocation.value('peer');
  if (peer !== undefined && !PEERS.includes(peer)) {
    throw usageError(`--peer is '${peer}'`, `give one of ${PEERS.join(', ')}`);
  }
  const examined = examineFiles([file]);
  const findings = explain(examined).filter(({ code }) => concerns(code, peer));
  io.out(invocation.flag('json') ? renderJson(file, findings) : renderText(file, findings, io));
  return examined.findings.errors[0]?.exitCode ?? ExitCode.Ok;
}

function concerns(code: string, peer: string | undefined): boolean {
  return peer === undefined || (ONLY_FOR[code] ?? peer) === peer;
}

function renderJson(file: string, findings: readonly Finding[]): string {
  const ok = !findings.some(({ severity }) => severity === 'error');
  return `${JSON.stringify({ schema: 'tsvpn.check/1', file, ok, findings })}\n`;
}

function renderText(file: string, findings: readonly Finding[], io: Io): string {
  const count = (severity: Finding['severity']) => {
    const number = findings.filter((finding) => finding.severity === severity).length;
    return `${number} ${severity}${number === 1 ? '' : 's'}`;
  };
  const verdict = `${file}: ${count('error')}, ${count('warning')}, ${count('remark')}\n`;
  return [...renderFindings(findings, io.paintOut), verdict].join('\n');
}
