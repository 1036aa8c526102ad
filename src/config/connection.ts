/**
 * `<connection>` blocks: one remote each, and what concerns the way there. Such settings after a block are, as in stock, for
 * the blocks behind them.
 */
import type { SourcePosition } from '../errors.ts';
import { DEFAULT_PORT } from './connection-settings.ts';
import { findDirective } from './directives.ts';
import type { DirectiveSpec } from './directives/spec.ts';
import { emptyDraft } from './draft.ts';
import type { Draft, Setting } from './draft.ts';
import { refuse, warn } from './findings.ts';
import { lexConfig } from './lexer.ts';
import type { Line } from './lexer.ts';

type ReadArguments = (
  spec: DirectiveSpec,
  line: Line,
  draft: Draft,
  lenient: boolean,
) => unknown[] | undefined;

/** In force on the way to this remote. */
// prettier-ignore
const OF_THE_WAY = [
  'remote', 'proto', 'port', 'lport', 'rport', 'local', 'bind', 'nobind', 'float', 'mtu-disc', 'connect-retry', 'connect-timeout',
  'explicit-exit-notify',
];

/** The same in all blocks (build/connections.ts). */
const COMMON = ['tun-mtu', 'tun-mtu-extra', 'link-mtu', 'mssfix', 'max-packet-size', 'fragment'];

const IN_BLOCK: ReadonlySet<string> = new Set([...OF_THE_WAY, ...COMMON]);

/** Stock 2.6 takes them in a block, where they change nothing for a static key. */
const NO_EFFECT: ReadonlySet<string> = new Set(['connect-retry-max', 'key-direction', 'tun-mtu-max']);

/** Where a line's settings belong: after a block, those that concern the way to a remote are for the next blocks only. */
export function scopeOf(draft: Draft, spec: DirectiveSpec, line: Line): Draft {
  if (draft.connections.length === 0 || spec.name === 'remote' || !IN_BLOCK.has(spec.name)) return draft;
  draft.linesAfterBlock.push(line);
  return { ...draft, settings: draft.forNextBlocks, lines: {} };
}

export function warnBesideBlocks({ remotes, linesAfterBlock, findings }: Draft): void {
  const why = 'OpenVPN ignores it there';
  for (const { where } of remotes) {
    warn(findings, where, 'CONFIG_BESIDE_CONNECTION', 'remote beside <connection> blocks has no effect', {
      why,
      fix: 'give the remote a <connection> block too, or remove the line',
    });
  }
  for (const { name, where } of linesAfterBlock) {
    const what = `${name} behind the last <connection> block has no effect`;
    warn(findings, where, 'CONFIG_BESIDE_CONNECTION', what, {
      why,
      fix: 'move the line in front of the first block, or remove it',
    });
  }
}

function readBlockLine(block: Draft, line: Line, readArguments: ReadArguments): void {
  const { findings } = block;
  const spec = findDirective(line.name);
  if (spec !== undefined && NO_EFFECT.has(spec.name)) {
    warn(findings, line.where, 'CONFIG_NO_EFFECT', `${line.name} inside <connection> has no effect`, {
      why: 'OpenVPN ignores it there',
      fix: 'write it in front of the first block',
    });
  } else if (spec?.answer.status === 'refused') {
    const { why, fix } = spec.answer;
    refuse(findings, line.where, 'CONFIG_REFUSED', `${line.name} cannot be used here`, { why, fix });
  } else if (spec?.answer.status !== 'supported' || !IN_BLOCK.has(spec.name)) {
    refuse(findings, line.where, 'CONFIG_CONNECTION', `${line.name} inside <connection>`, {
      why: 'it does not concern the way to one remote; OpenVPN refuses it there, too',
      fix: 'write it in front of the first block',
    });
  } else {
    const values = readArguments(spec, line, block, false);
    if (values !== undefined) spec.answer.apply(block, values as never, line);
  }
}

/** As in stock the last line of a block decides, be it `remote HOST PORT PROTO` or `rport` and `proto`. */
function lastOf<T>(
  ofRemote: T | undefined,
  remote: SourcePosition,
  own: Setting<T> | undefined,
): T | undefined {
  const later = own !== undefined && own.where.line > remote.line;
  return later ? own.value : (ofRemote ?? own?.value);
}

/** Reads one block; what it leaves open comes from the lines before it. */
export function readConnection(draft: Draft, line: Line, readArguments: ReadArguments): void {
  const { findings } = draft;
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
  const own = block.settings;
  const before = { ...draft.settings, ...draft.forNextBlocks };
  if (block.remotes.length === 1) {
    const { value, where } = block.remotes[0];
    const port = lastOf(value.port, where, own.remotePort) ?? before.remotePort?.value ?? DEFAULT_PORT;
    const proto = lastOf(value.proto, where, own.proto) ?? before.proto?.value;
    draft.connections.push({
      value: { host: value.host, port, proto, own: { ...draft.forNextBlocks, ...own } },
      where,
    });
    draft.linesAfterBlock.length = 0;
  } else if (findings.errors.length === faults) {
    refuse(findings, line.where, 'CONFIG_CONNECTION', 'a <connection> block holds exactly one `remote`', {
      fix: '<connection>\nremote HOST PORT\n</connection>',
    });
  }
}
