/** `tsvpn check`: everything worth knowing about config files, with the fix for each finding. */
import { explain, type Finding } from '../config/explain.ts';
import { examineFiles } from '../config/load.ts';
import { formatSummary, isPlain, summarise } from '../config/summary.ts';
import type { SummaryLine } from '../config/summary.ts';
import { ExitCode } from '../errors.ts';
import { escapeText } from '../control/escape.ts';
import { usageError } from './arguments.ts';
import type { Command, Invocation, Io } from './command.ts';
import { renderFindings } from './render-error.ts';

const PEERS = ['tsvpn', '2.4', '2.6', '2.7'];
/** Findings that concern some peers only. */
const ONLY_FOR: Readonly<Record<string, string>> = { CHECK_OPENVPN_27: '2.7' };

export const check: Command = {
  name: 'check',
  summary: 'look config files over and say what to improve',
  usage: ['check FILE... [--json] [--peer tsvpn|2.4|2.6|2.7]'],
  operands: { min: 1, max: Infinity },
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
      line: 'tsvpn check site-b.conf site-c.conf',
      does: 'the peers of one gateway: also who lies behind which, and the NAT rules in words',
    },
    {
      line: 'tsvpn check site-a.conf --peer 2.6',
      does: 'leave out what does not concern a peer with OpenVPN 2.6',
    },
    { line: 'tsvpn check site-a.conf --json | jq -r .findings[].code', does: 'the same for scripts' },
  ],
  notes: 'The exit code is 0 when the files can be used, 2 when the config and 3 when the key is at fault.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const files = invocation.operands;
  const peer = invocation.value('peer');
  if (peer !== undefined && !PEERS.includes(peer)) {
    throw usageError(`--peer is '${peer}'`, `give one of ${PEERS.join(', ')}`);
  }
  const examined = examineFiles(files);
  const findings = explain(examined).filter(({ code }) => concerns(code, peer));
  const { config } = examined;
  const summary = config === undefined || isPlain(config) ? [] : summarise(config);
  io.out(
    invocation.flag('json') ? renderJson(files, findings, summary) : renderText(files, findings, summary, io),
  );
  return examined.findings.errors[0]?.exitCode ?? ExitCode.Ok;
}

function concerns(code: string, peer: string | undefined): boolean {
  return peer === undefined || (ONLY_FOR[code] ?? peer) === peer;
}

function renderJson(
  files: readonly string[],
  findings: readonly Finding[],
  summary: readonly SummaryLine[],
): string {
  const ok = !findings.some(({ severity }) => severity === 'error');
  const [file] = files;
  const lines = summary.map(({ text, where }) => ({ text, where }));
  return `${JSON.stringify({ schema: 'tsvpn.check/1', file, files, ok, findings, summary: lines })}\n`;
}

function renderText(
  files: readonly string[],
  findings: readonly Finding[],
  summary: readonly SummaryLine[],
  io: Io,
): string {
  const count = (severity: Finding['severity']) => {
    const number = findings.filter((finding) => finding.severity === severity).length;
    return `${number} ${severity}${number === 1 ? '' : 's'}`;
  };
  const verdict = `${files.join(', ')}: ${count('error')}, ${count('warning')}, ${count('remark')}\n`;
  const told = summary.length === 0 ? [] : [`${formatSummary(summary).map(escapeText).join('\n')}\n`];
  return [...renderFindings(findings, io.paintOut), ...told, verdict].join('\n');
}
