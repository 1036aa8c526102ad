/** The option string that two ends exchange by OCC: building ours, and telling people how the peer's differs. */
import type { DeviceType } from '../packet/ethernet.ts';

import type { TransportProtocol } from './constants.ts';

/** Longest option string, without its NUL (OpenVPN's OPTION_LINE_SIZE). */
const MAX_OPTIONS = 255;

/** Default of `tun-mtu-extra` on tap. */
const TAP_MTU_EXTRA = 32;

/** The options that appear in the string, as plain values. */
export interface OccOptions {
  readonly protocol: TransportProtocol;
  readonly deviceType: DeviceType;
  /** linkMtu() of mtu.ts. */
  readonly linkMtu: number;
  /** tun-mtu, or its second argument. Up to OpenVPN 2.5 a tap peer expects tun-mtu-extra in it: 1532. */
  readonly tunMtu: number;
  readonly ipv6: boolean;
  /** Undefined without `ifconfig` and with `ifconfig-nowarn`. */
  readonly ifconfig:
    | { readonly kind: 'p2p'; readonly local: string; readonly remote: string }
    | { readonly kind: 'subnet'; readonly local: string; readonly netmask: string }
    | undefined;
  /** Any compression framing, stubs included. */
  readonly compression: boolean;
  /** `fragment` is configured; its size is not told. */
  readonly fragment: boolean;
  readonly keyDirection: 0 | 1 | undefined;
  /** Canonical cipher name, or `none`. */
  readonly cipher: string;
  /** Cipher key bits; 0 for `none`. */
  readonly keyBits: number;
  /** Canonical digest name, or `none`. */
  readonly digest: string;
  /** False with `no-replay`. */
  readonly replay: boolean;
}

const PROTOCOL_ITEMS: Readonly<Record<TransportProtocol, string>> = {
  udp: 'proto UDPv4',
  'tcp-client': 'proto TCPv4_CLIENT',
  'tcp-server': 'proto TCPv4_SERVER',
};
const OTHER_END: Readonly<Record<TransportProtocol, TransportProtocol>> = {
  udp: 'udp',
  'tcp-client': 'tcp-server',
  'tcp-server': 'tcp-client',
};

/** Network address of a dotted quad: octet by octet AND of address and netmask. */
function networkOf(address: string, netmask: string): string {
  const mask = netmask.split('.').map(Number);
  return address
    .split('.')
    .map((octet, i) => Number(octet) & mask[i])
    .join('.');
}

/** In p2p topology stock writes the remote address first; in a subnet, and on tap, the network and its mask. */
function ifconfigItem(ifconfig: NonNullable<OccOptions['ifconfig']>): string {
  return ifconfig.kind === 'p2p'
    ? `ifconfig ${ifconfig.remote} ${ifconfig.local}`
    : `ifconfig ${networkOf(ifconfig.local, ifconfig.netmask)} ${ifconfig.netmask}`;
}

/** Our option string, byte for byte what stock 2.6 sends for the same config. */
export function buildOccOptions(options: OccOptions): string {
  const items = [
    'V4',
    `dev-type ${options.deviceType}`,
    `link-mtu ${options.linkMtu}`,
    `tun-mtu ${options.tunMtu}`,
    PROTOCOL_ITEMS[options.protocol],
    options.ipv6 && 'tun-ipv6',
    options.ifconfig && ifconfigItem(options.ifconfig),
    options.compression && 'comp-lzo',
    options.fragment && 'mtu-dynamic',
    options.keyDirection !== undefined && `keydir ${options.keyDirection}`,
    `cipher ${options.cipher === 'none' ? '[null-cipher]' : options.cipher}`,
    `auth ${options.digest === 'none' ? '[null-digest]' : options.digest}`,
    `keysize ${options.keyBits}`,
    'secret',
    !options.replay && 'no-replay',
  ];
  return items.filter(Boolean).join(',').slice(0, MAX_OPTIONS);
}

/** The string a peer with a matching config sends: the same with the ends exchanged. */
export function expectedPeerOptions(options: OccOptions): string {
  const { ifconfig, keyDirection } = options;
  return buildOccOptions({
    ...options,
    protocol: OTHER_END[options.protocol],
    ifconfig:
      ifconfig?.kind === 'p2p' ? { ...ifconfig, local: ifconfig.remote, remote: ifconfig.local } : ifconfig,
    keyDirection: keyDirection === undefined ? undefined : keyDirection === 0 ? 1 : 0,
  });
}

/** One option on which the ends disagree. Texts are safe to print. */
export interface OccDifference {
  /** First word of the item, for example `tun-mtu`. */
  readonly option: string;
  /** The item our config makes us expect from the peer; undefined when it should not be there. */
  readonly expected: string | undefined;
  /** The item the peer sent; undefined when it is missing. */
  readonly received: string | undefined;
}

/**
 * Options that differ without harm or between versions (OpenVPN ignores these too), and `cipher`, on which the ends
 * agree if they can talk at all.
 */
const NOT_COMPARED = new Set(['proto', 'key-method', 'tls-auth', 'tun-ipv6', 'cipher']);

/** Makes a peer's text safe to print: control and non-ASCII characters as \xNN, at most 255 characters of it. */
export function escapePeerText(text: string): string {
  const escape = (char: string): string => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
  return text.slice(0, MAX_OPTIONS).replaceAll(/[^\x20-\x5b\x5d-\x7e]/g, escape);
}

function byFirstWord(options: string): Map<string, string> {
  return new Map(options.split(',').map((item) => [item.split(' ', 1)[0], item]));
}

const sizeIn = (items: Map<string, string>, name: string) => Number(items.get(name)?.split(' ')[1]);
const overheadOf = (items: Map<string, string>) => sizeIn(items, 'link-mtu') - sizeIn(items, 'tun-mtu');

/**
 * Writes what a peer up to 2.5 sent as 2.6 does: in `tun-mtu` of a tap it counts the room for Ethernet headers, and in
 * `link-mtu` a marker of compression that framing of version 2 has not.
 */
function writtenAs26(want: Map<string, string>, got: Map<string, string>): void {
  const surplus = overheadOf(got) - overheadOf(want);
  const marker =
    want.has('comp-lzo') && got.has('comp-lzo') && (surplus === 1 || surplus === 1 - TAP_MTU_EXTRA);
  const room = got.get('dev-type') === 'dev-type tap' && surplus === Number(marker) - TAP_MTU_EXTRA;
  if (marker) got.set('link-mtu', `link-mtu ${sizeIn(got, 'link-mtu') - 1}`);
  if (room) got.set('tun-mtu', `tun-mtu ${sizeIn(got, 'tun-mtu') - TAP_MTU_EXTRA}`);
}

/**
 * How the peer's string differs from the expected one; empty when nothing does. Only the version when the first two
 * characters differ. `link-mtu` is reported only alone: it follows from the other options.
 */
export function compareOccOptions(expected: string, received: string): OccDifference[] {
  const theirs = escapePeerText(received);
  if (theirs.slice(0, 2) !== expected.slice(0, 2)) {
    return [{ option: 'version', expected: expected.slice(0, 2), received: theirs.slice(0, 2) }];
  }
  const [want, got] = [byFirstWord(expected), byFirstWord(theirs)];
  writtenAs26(want, got);
  const differences = [...new Set([...want.keys(), ...got.keys()])]
    .filter((option) => !NOT_COMPARED.has(option) && want.get(option) !== got.get(option))
    .map((option) => ({ option, expected: want.get(option), received: got.get(option) }));
  const causes = differences.filter(({ option }) => option !== 'link-mtu');
  return causes.length > 0 ? causes : differences;
}

/** An item as a config has it: a p2p `ifconfig` stands there local address first, a few others under another name. */
export function asConfigLine(item: string): string {
  return item
    .replace(/^ifconfig (\S+) (?!255\.)(\S+)$/, 'ifconfig $2 $1')
    .replace(/^keydir /, 'key-direction ')
    .replace('mtu-dynamic', 'fragment')
    .replace('[null-digest]', 'none');
}
