/**
 * `<connection>` blocks: one remote each. Stock gives every block its own copy of about twenty settings; tsvpn has
 * one value for the whole tunnel, so a block holds the peer's address only, and what stock would silently ignore
 * (the same settings after a block) is an error.
 */
import { findDirective } from './directives.ts';
import type { DirectiveSpec } from './directives/spec.ts';
import { emptyDraft } from './draft.ts';
import type { Draft } from './draft.ts';
import { refuse } from './findings.ts';
import { lexConfig } from './lexer.ts';
import type { Line } from './lexer.ts';

type ReadArguments = (
  spec: DirectiveSpec,
  line: Line,
  draft: Draft,
  lenient: boolean,
) => unknown[] | undefined;

const DEFAULT_PORT = 1194;

const IN_BLOCK: ReadonlySet<string> = new Set(['remote', 'proto', 'rport']);

/** Settings stock keeps per connection and therefore ignores after a block. */
// prettier-ignore
const PER_CONNECTION: ReadonlySet<string> = new Set([
  'remote', 'proto', 'port', 'lport', 'rport', 'local', 'bind', 'nobind', 'float', 'mssfix', 'fragment', 'tun-mtu', 'link-mtu',
  'udp-mtu', 'max-packet-size', 'mtu-disc', 'connect-retry', 'connect-retry-max', 'connect-timeout',
  'server-poll-timeout', 'explicit-exit-notify',
  'key-direction',
]);

/** Refuses a line that stock would ignore because a `<connection>` block stands before it; true when it did. */
export function refuseAfterConnection(draft: Draft, line: Line): boolean {
  if (draft.connections.length === 0 || !PER_CONNECTION.has(line.name)) return false;
  const what = `${line.name} after a <connection> block`;
  refuse(draft.findings, line.where, 'CONFIG_AFTER_CONNECTION', what, {
    why: 'OpenVPN ignores it there',
    fix:
      line.name === 'remote'
        ? 'give the remote a <connection> block too'
        : 'move the line in front of the first block',
  });
  return true;
}

function readBlockLine(block: Draft, line: Line, readArguments: ReadArguments): void {
  const spec = findDirective(line.name);
  if (spec === undefined || spec.answer.status !== 'supported' || !IN_BLOCK.has(line.name)) {
    refuse(
      block.findings,
      line.where,
      'CONFIG_CONNECTION',
      `${line.name} inside <connection> is not supported`,
      {
        why: 'tsvpn keeps one value for all remotes',
        fix: 'write it in front of the block; inside belong `remote`, `proto` and `rport`',
      },
    );
    return;
  }
  const values = readArguments(spec, line, block, false);
  if (values !== undefined) spec.answer.apply(block, values as never, line);
}

/** Reads one block; what it leaves open comes from the lines before it. */
export function readConnection(draft: Draft, line: Line, readArguments: ReadArguments): void {
  const { findings, settings } = draft;
  if (line.block === undefined) {
    refuse(findings, line.where, 'CONFIG_CONNECTION', 'connection is a block', {
      fix: '<connection>\nremote HOST PORT\n</connection>',
    });
    return;
  }
  const faults = findings.errors.length;
  const block = emptyDraft(findings, draft.directory);
  for (const each of lexConfig(line.block.text, line.where.file, line.block.firstLine, findings)) {
    if (each.broken !== true) readBlockLine(block, each, readArguments);
  }
  if (block.remotes.length === 1) {
    const { value, where } = block.remotes[0];
    const port = value.port ?? block.settings.remotePort?.value ?? settings.remotePort?.value ?? DEFAULT_PORT;
    const proto = value.proto ?? block.settings.proto?.value ?? settings.proto?.value;
    draft.connections.push({ value: { host: value.host, port, proto }, where });
  } else if (findings.errors.length === faults) {
    refuse(findings, line.where, 'CONFIG_CONNECTION', 'a <connection> block holds exactly one `remote`', {
      fix: '<connection>\nremote HOST PORT\n</connection>',
    });
  }
}
