/**
 * The peers of one config file. A file without `<peer>` blocks is one peer. With blocks, every block is a peer, and the
 * lines outside are defaults for all of them; with a `secret` those lines are a peer as well, the first one, which is
 * what stock makes of the file when it skips the blocks.
 */
import type { SourcePosition } from '../errors.ts';
import { emptyDraft } from './draft.ts';
import type { Draft, Settings } from './draft.ts';
import { noFindings, refuse } from './findings.ts';
import type { Line } from './lexer.ts';
import { parseText } from './parser.ts';
import type { Parser } from './parser.ts';
import { tunnelName } from './tunnel-name.ts';

/** The lines of one peer, before defaults and checks. */
export interface PeerDraft {
  readonly draft: Draft;
  /** The config file as given. */
  readonly file: string;
  readonly name: string;
  /** Where the peer begins. */
  readonly where: SourcePosition;
  /** No other peer in this file. */
  readonly onlyOfFile: boolean;
}

type Key = keyof Settings;

/** Settings of one peer that are no default for others. */
const OWN: readonly Key[] = ['secret', 'name', 'routeGateway', 'replayPersist'];
const OWN_DIRECTIVES: readonly string[] = [
  'secret',
  'name',
  'remote',
  'connection',
  'ifconfig',
  'ifconfig-ipv6',
];

/** A setting of a block takes the place of these, which would contradict it. */
const REPLACES: { readonly [K in Key]?: readonly Key[] } = {
  keepalive: ['ping', 'pingTimeout'],
  ping: ['keepalive'],
  pingTimeout: ['keepalive'],
  linkMtu: ['tunMtu'],
  tunMtu: ['linkMtu'],
  nobind: ['bind', 'lport', 'localHost'],
  bind: ['nobind'],
  lport: ['nobind'],
  localHost: ['nobind'],
  noReplay: ['replayWindow'],
  replayWindow: ['noReplay'],
};

function defaultsOf({ settings }: Draft): Draft['settings'] {
  const defaults = { ...settings };
  for (const key of OWN) delete defaults[key];
  if (settings.topology?.value !== 'subnet') delete defaults.ifconfig;
  // `secret FILE 1` sets the direction of that key, `key-direction 1` that of all keys.
  if (settings.keyDirection?.where === settings.secret?.where) delete defaults.keyDirection;
  return defaults;
}

/** Takes out defaults that a setting of the block itself contradicts. */
function dropReplaced({ settings, inherited }: Draft): void {
  for (const [key, others] of Object.entries(REPLACES) as [Key, readonly Key[]][]) {
    if (settings[key] === inherited[key]) continue;
    for (const other of others) {
      if (settings[other] === inherited[other]) delete settings[other];
    }
  }
}

function blockName(draft: Draft, line: Line, file: string, index: number): string {
  const { name } = draft.settings;
  if (name !== undefined) return name.value;
  if (!draft.mentioned.has('name')) {
    refuse(draft.findings, line.where, 'CONFIG_PEER_NAME', 'a <peer> block without `name`', {
      why: 'status, logs and NAT rules call the peer by it',
      fix: `name site-${index + 1}`,
    });
  }
  return `${tunnelName(file)}-${index + 1}`;
}

function readBlock(parser: Parser, line: Line, index: number, onlyOfFile: boolean): PeerDraft {
  const { draft: outside, file } = parser;
  const draft = emptyDraft(noFindings(), outside.directory, defaultsOf(outside));
  for (const name of outside.mentioned) {
    if (!OWN_DIRECTIVES.includes(name)) draft.mentioned.add(name);
  }
  Object.assign(draft.lines, outside.lines);
  for (const name of OWN_DIRECTIVES) delete draft.lines[name];
  const { text, firstLine } = line.block ?? { text: '', firstLine: line.where.line };
  const inside = { ...parser, draft, inPeer: true };
  parseText(inside, text, line.where.file, 1, firstLine);
  dropReplaced(draft);
  return { draft, file, name: blockName(draft, line, file, index), where: line.where, onlyOfFile };
}

/** Lines outside of all blocks that belong to a peer, but to none there is. */
function refuseStray(draft: Draft): void {
  const { settings } = draft;
  const stray: readonly [string, { readonly where: SourcePosition } | undefined][] = [
    ['remote', draft.remotes[0]],
    ['<connection>', draft.connections[0]],
    ['name', settings.name],
    ['ifconfig LOCAL REMOTE', settings.topology?.value === 'subnet' ? undefined : settings.ifconfig],
    ['peer-route', draft.peerRoutes[0]],
    ['peer-address', draft.peerAddresses[0]],
    ['allowed-source', draft.allowedSources[0]],
    ['client-nat', draft.clientNat[0]],
    ['route-ipv6', draft.routes6[0]],
    ['redirect-gateway', draft.redirects[0]],
  ];
  for (const [name, setting] of stray) {
    if (setting === undefined) continue;
    refuse(draft.findings, setting.where, 'CONFIG_STRAY', `\`${name}\` outside of the <peer> blocks`, {
      why: 'it belongs to one peer, and without `secret` the lines outside of the blocks are none',
      fix: 'move the line into the block of its peer',
    });
  }
}

/** The peers of a file that has been parsed. */
export function readPeers(parser: Parser): PeerDraft[] {
  const { draft, file } = parser;
  const { blocks, settings, mentioned } = draft;
  const outside = blocks.length === 0 || settings.secret !== undefined || mentioned.has('secret');
  const onlyOfFile = blocks.length + (outside ? 1 : 0) === 1;
  const peers = blocks.map((line, index) => readBlock(parser, line, index, onlyOfFile));
  if (!outside) {
    refuseStray(draft);
    return peers;
  }
  const name = settings.name?.value ?? tunnelName(file);
  return [{ draft, file, name, where: { file, line: 1, column: 1 }, onlyOfFile }, ...peers];
}
