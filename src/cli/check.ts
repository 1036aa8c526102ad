/** `tsvpn check`: everything worth knowing about config files, with the fix for each finding. */
import { explain, type Finding } from '../config/explain.ts';
import { examineFiles } from '../config/load.ts';
import { readAndKeep, type KeptTexts } from '../config/pipes.ts';
import type { PeerConfig } from '../config/model.ts';
import { OTHER_ENDS, otherEnd, type OtherConfig, type OtherEnd } from '../config/other-end.ts';
import { describeSizes, sizesOf } from '../config/sizes.ts';
import { formatSummary, isPlain, summarise, type SummaryLine } from '../config/summary.ts';
import { ExitCode } from '../errors.ts';
import type { Paint } from '../control/colour.ts';
import { escapeText } from '../control/escape.ts';
import { plural } from '../control/units.ts';
import { usageError } from './arguments.ts';
import type { Command, Invocation, Io } from './command.ts';
import { renderFindings } from './render-error.ts';

/** Findings that concern some peers only. */
const ONLY_FOR: Readonly<Record<string, string>> = { CHECK_OPENVPN_27: '2.7' };

export const check: Command = {
  name: 'check',
  summary: 'look config files over and say what to improve',
  usage: [`check FILE... [--json] [--peer ${OTHER_ENDS.join('|')}]`],
  operands: { min: 1, max: Infinity },
  options: {
    json: { type: 'boolean', help: 'print one JSON object (schema tsvpn.check/1)' },
    peer: {
      type: 'string',
      value: 'WHAT',
      help: 'print the config that the other end needs, which runs tsvpn or that version of OpenVPN',
    },
  },
  examples: [
    { line: 'tsvpn check site-a.conf', does: 'list errors, warnings and remarks, each with its fix' },
    {
      line: 'tsvpn check site-b.conf site-c.conf',
      does: 'the peers of one gateway: also who lies behind which, and the NAT rules in words',
    },
    {
      line: 'tsvpn check site-a.conf --peer 2.4 > site-b.conf',
      does: 'write the config for the other end, which runs OpenVPN 2.4; findings go to standard error',
    },
    { line: 'tsvpn check site-a.conf --json | jq -r .findings[].code', does: 'the same for scripts' },
  ],
  notes: 'The exit code is 0 when the files can be used, 2 when the config and 3 when the key is at fault.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const files = invocation.operands;
  const peer = invocation.value('peer');
  const other = OTHER_ENDS.find((each) => each === peer);
  if (peer !== undefined && other === undefined) {
    throw usageError(`--peer is '${peer}'`, `give one of ${OTHER_ENDS.join(', ')}`);
  }
  const report = examine(files, other);
  if (invocation.flag('json')) io.out(renderJson(report));
  else if (other === undefined) io.out(renderText(report, io.paintOut));
  else {
    io.err(renderText(report, io.paintErr));
    io.out(report.others.map((each) => renderOther(each, other)).join('\n'));
  }
  return report.exitCode;
}

interface Report {
  readonly files: readonly string[];
  readonly findings: readonly Finding[];
  /** What lies where, for gateways that are more than a tunnel. */
  readonly summary: readonly SummaryLine[];
  readonly peers: readonly PeerConfig[];
  readonly others: readonly { readonly config: PeerConfig; readonly other: OtherConfig }[];
  readonly exitCode: ExitCode;
}

/** With `other`, also what the other end of each peer needs. */
function examine(files: readonly string[], other: OtherEnd | undefined): Report {
  const kept: KeptTexts = new Map();
  const examined = examineFiles(files, { read: (path) => readAndKeep(path, kept) });
  const { config } = examined;
  const peers = config?.peers ?? [];
  return {
    files,
    findings: explain(examined).filter(({ code }) => concerns(code, other)),
    summary: config === undefined || isPlain(config) ? [] : summarise(config),
    peers,
    others: other === undefined ? [] : peers.map((each) => ({ config: each, other: otherEnd(each, other) })),
    exitCode: examined.findings.errors[0]?.exitCode ?? ExitCode.Ok,
  };
}

function concerns(code: string, peer: string | undefined): boolean {
  return peer === undefined || (ONLY_FOR[code] ?? peer) === peer;
}

function renderJson({ files, findings, summary, peers, others }: Report): string {
  const ok = !findings.some(({ severity }) => severity === 'error');
  const [file] = files;
  const lines = summary.map(({ text, where }) => ({ text, where }));
  const otherEnds = others.map(({ config, other }) => ({ peer: config.name, ...other }));
  const report = {
    schema: 'tsvpn.check/1',
    file,
    files,
    ok,
    findings,
    summary: lines,
    sizes: peers.map(sizesOf),
  };
  return `${JSON.stringify(others.length === 0 ? report : { ...report, otherEnds })}\n`;
}

function renderText({ files, findings, summary, peers }: Report, paint: Paint): string {
  const count = (severity: Finding['severity']) =>
    plural(findings.filter((finding) => finding.severity === severity).length, severity);
  const verdict = `${files.join(', ')}: ${count('error')}, ${count('warning')}, ${count('remark')}\n`;
  const told = summary.length === 0 ? [] : [`${formatSummary(summary).map(escapeText).join('\n')}\n`];
  return [...renderFindings(findings, paint), ...told, ...renderSizes(peers), verdict].join('\n');
}

/** Peers with the same sizes share a paragraph. */
function renderSizes(peers: readonly PeerConfig[]): string[] {
  const names = new Map<string, string[]>();
  for (const peer of peers) {
    const text = describeSizes(peer).map(escapeText).join('\n    ');
    names.set(text, [...(names.get(text) ?? []), peer.name]);
  }
  const title = (of: readonly string[]) => (peers.length > 1 ? `${escapeText(of.join(', '))}: ` : '');
  return [...names].map(([text, of]) => `  ${title(of)}${text}\n`);
}

function renderOther({ config, other }: Report['others'][number], end: OtherEnd): string {
  const runs = end === 'tsvpn' ? 'tsvpn' : `OpenVPN ${end}`;
  const title = `# The other end of ${config.name}, for ${runs}; written by tsvpn check.`;
  const notes = other.notes.map((note) => `# ${note[0].toUpperCase()}${note.slice(1)}.`);
  return `${[title, ...notes, '', ...other.lines].map(escapeText).join('\n')}\n`;
}
