/**
 * How the options of the two ends differ (OCC), in words, with the line to change: what OpenVPN tells at `verb 7` as two
 * pieces of a string.
 */
import { asConfigLine, type OccDifference } from '../protocol/occ-options.ts';
import type { PeerConfig } from './model.ts';
import { fragmentLine, framingLine, ifconfigLine } from './written.ts';

/** ` (x.conf:7)` behind words about a line of this config, if it is written there. */
function place({ lines }: PeerConfig, name: string): string {
  const where = lines[name];
  return where === undefined ? '' : ` (${where.file}:${where.line})`;
}

/** The value of `tun-mtu 1400`; an absent item has none. */
function valueOf(item: string | undefined): string {
  return item?.slice(item.indexOf(' ') + 1) ?? '';
}

/** Both ends have the option with a value of their own. */
function differingValues(config: PeerConfig, name: string, { expected, received }: OccDifference): string {
  const [ours, theirs] = [expected, received].map((item) => valueOf(asConfigLine(item ?? '')));
  return (
    `the peer uses ${name} ${theirs}, this end ${ours}: write "${name} ${theirs}" here${place(config, name)} ` +
    `or "${name} ${ours}" there`
  );
}

/** Only one end has the line; `line` is what it is, or would be, here. */
function onOneEnd(config: PeerConfig, name: string, line: string, { received }: OccDifference): string {
  return received === undefined
    ? `only this end has "${line}"${place(config, name)}: remove it here, or write it there`
    : `only the peer has "${line}": write it here, or remove it there`;
}

function adviseLinkMtu(_: PeerConfig, { expected, received }: OccDifference): string {
  const [ours, theirs] = [expected, received].map(valueOf);
  return (
    `the peer counts packets of up to ${theirs} bytes, this end ${ours}, and all else agrees: ` +
    'look for `link-mtu`, `tun-mtu-extra`, `keysize` or `no-iv` there, and remove it'
  );
}

function adviseAddresses(config: PeerConfig, { expected, received }: OccDifference): string {
  const { address } = config.device;
  const [wanted, theirs] = [expected, received].map((item) => asConfigLine(item ?? ''));
  const ours = address === undefined ? 'nothing' : `"${ifconfigLine(address)}"${place(config, 'ifconfig')}`;
  if (received === undefined) {
    const there = address?.kind === 'p2p' ? `write "${wanted}" there` : 'write one there';
    return `only this end has an \`ifconfig\` line: ${there}, or add "ifconfig-nowarn" here (now ${ours})`;
  }
  const [, first, second] = /^ifconfig (\S+) (\S+)$/.exec(theirs) ?? [];
  if (second === undefined) return `the peer has "${theirs}", which makes no sense; this end has ${ours}`;
  const network = second.startsWith('255.');
  if (expected === undefined) {
    const line = network ? 'one' : `"ifconfig ${second} ${first}"`;
    return `only the peer has an \`ifconfig\` line: write ${line} here, or "ifconfig-nowarn" there`;
  }
  if (network || address?.kind === 'subnet') {
    return (
      `the peer's network is ${networkText(theirs)}, this end's ${networkText(wanted)}, by ${ours}: ` +
      'write addresses of one network and one `topology` on both ends'
    );
  }
  return (
    `the peer has "${theirs}", this end ${ours}, and they have to mirror each other: ` +
    `write "ifconfig ${second} ${first}" here or "${wanted}" there`
  );
}

function networkText(line: string): string {
  const [, first, second] = line.split(' ');
  return second.startsWith('255.') ? `${first} with mask ${second}` : `the pair ${first} and ${second}`;
}

function adviseDirection(config: PeerConfig, { received }: OccDifference): string {
  const ours = config.key.direction;
  const here = place(config, 'key-direction');
  if (received === undefined) {
    return `this end uses key-direction ${ours}${here}, the peer none: write "key-direction ${ours === 0 ? 1 : 0}" there, or remove it here`;
  }
  const theirs = valueOf(received);
  const other = theirs === '0' ? '1' : '0';
  return ours === undefined
    ? `the peer uses key-direction ${theirs}, this end none: write "key-direction ${other}" here, or remove it there`
    : `both ends use key-direction ${theirs}: write "key-direction ${other}" here${here}, or the other one there`;
}

function adviseCompression(config: PeerConfig, difference: OccDifference): string {
  // With any other framing the ends could not have read each other's options.
  const line = framingLine(config.framing) || 'compress stub-v2';
  return onOneEnd(config, 'compression', line, difference);
}

function adviseFragment(config: PeerConfig, difference: OccDifference): string {
  const { fragment } = config.mtu;
  return onOneEnd(
    config,
    'fragment',
    fragment === undefined ? 'fragment SIZE' : fragmentLine(fragment),
    difference,
  );
}

function adviseDevice(config: PeerConfig, { expected, received }: OccDifference): string {
  const [ours, theirs] = [expected, received].map(valueOf);
  return `the peer has a ${theirs} device, this end a ${ours} device: write "dev ${theirs}" here${place(config, 'dev-type') || place(config, 'dev')} or "dev ${ours}" there`;
}

type Advise = (config: PeerConfig, difference: OccDifference) => string;

/** By the first word of an item. */
const ADVICE: ReadonlyMap<string, Advise> = new Map<string, Advise>(
  Object.entries({
    version: (_, { expected, received }) =>
      `the peer writes its options in version ${received}, this end in ${expected}: they cannot be compared`,
    'dev-type': adviseDevice,
    'link-mtu': adviseLinkMtu,
    'tun-mtu': (config, difference) => differingValues(config, 'tun-mtu', difference),
    ifconfig: adviseAddresses,
    'comp-lzo': adviseCompression,
    'mtu-dynamic': adviseFragment,
    keydir: adviseDirection,
    auth: (config, difference) => differingValues(config, 'auth', difference),
    keysize: (config, { expected, received }) =>
      `the peer's cipher key has ${valueOf(received)} bits, this end's ${valueOf(expected)}: write "cipher ${config.cipher.name}" there, and no \`keysize\``,
    secret: () => 'the peer has no static key: it needs a config with `secret`, as this end has',
    'no-replay': (config, difference) => onOneEnd(config, 'no-replay', 'no-replay', difference),
  } satisfies Record<string, Advise>),
);

function sameMissing({ expected, received }: OccDifference): string {
  return received === undefined ? `only this end has "${expected}"` : `only the peer has "${received}"`;
}

/** One sentence, without a full stop. */
export function adviseOcc(config: PeerConfig, difference: OccDifference): string {
  return ADVICE.get(difference.option)?.(config, difference) ?? sameMissing(difference);
}
