/**
 * What the other end of a tunnel needs: the config of this end seen from there, in the words of the version that runs
 * there, with notes on what that version does otherwise. It holds no key: `secret` names a file.
 */
import { isIPv6 } from 'node:net';
import { basename } from 'node:path';
import { ExitCode, OperatorError } from '../errors.ts';
import { formatIpv4, parseIpv4 } from '../packet/address.ts';
import type { TransportProtocol } from '../protocol/constants.ts';
import { linkMtu, type MssFix } from '../protocol/mtu.ts';
import { channelShape, fragmentFamily } from './channel-shape.ts';
import { connectionSettings } from './connection-settings.ts';
import { OPENVPN_VERSIONS, type OpenVpnVersion } from './dialects.ts';
import type { PeerConfig } from './model.ts';
import { formatProtocol, isStream, protocolsOf } from './protocols.ts';
import { fragmentLine } from './written.ts';

export const OTHER_ENDS = ['tsvpn', ...OPENVPN_VERSIONS] as const;
export type OtherEnd = (typeof OTHER_ENDS)[number];

/** Lines of the config, and sentences about it. */
interface Part {
  readonly lines: readonly string[];
  readonly notes: readonly string[];
}

/** Stands for an address that this config does not tell. */
const THIS_HOST = 'this-end.example.net';
const OUTER_HEADERS = { 4: 28, 6: 48 } as const;
const HEADER_40 = 40;
const MIN_FRAGMENT = 68;
/** `mssfix` of OpenVPN 2.5 and older, without outer headers. */
const OLD_MSSFIX = 1450;

/** Whether what runs there is OpenVPN of that version or older. */
function upTo(end: OtherEnd, version: OpenVpnVersion): boolean {
  return end !== 'tsvpn' && OPENVPN_VERSIONS.indexOf(end) <= OPENVPN_VERSIONS.indexOf(version);
}

function part(lines: readonly string[], ...notes: (string | false)[]): Part {
  return { lines, notes: notes.filter((note) => note !== false) };
}

const OTHER_ROLE: Readonly<Record<TransportProtocol, TransportProtocol>> = {
  udp: 'udp',
  'tcp-client': 'tcp-server',
  'tcp-server': 'tcp-client',
};

function refusal(what: string, why: string, fix: string): OperatorError {
  return new OperatorError({ code: 'CHECK_OTHER_END', what, why, fix, exitCode: ExitCode.Usage });
}

/** For one family where the version has a word for it; over TCP the other role. */
function protocol({ transport }: PeerConfig, end: OtherEnd): string {
  const theirs = OTHER_ROLE[protocolsOf(transport)[0]];
  const outer = [
    connectionSettings(transport, transport.remotes.at(0)).localHost,
    ...transport.remotes.map(({ host }) => host),
  ];
  const ipv6 = transport.family === 'ipv6' || outer.some((host) => isIPv6(host ?? ''));
  if (ipv6 && upTo(end, '2.2')) {
    throw refusal(
      'OpenVPN 2.2 cannot talk over IPv6',
      'it came with 2.3',
      'use IPv4 addresses, or a newer OpenVPN',
    );
  }
  if (ipv6) return formatProtocol(theirs, 'ipv6');
  const { family } = transport.remotes.at(0) ?? transport;
  return formatProtocol(theirs, family === 'ipv4' && !upTo(end, '2.3') ? 'ipv4' : 'any');
}

/** A UDP port of each end; over TCP only the server has one that matters. */
function portLines({ transport }: PeerConfig): string[] {
  const theirs = transport.remotes.at(0)?.port ?? transport.remotePort;
  const ours = connectionSettings(transport, transport.remotes.at(0)).localPort;
  switch (protocolsOf(transport)[0]) {
    case 'tcp-client':
      return [`port ${theirs}`];
    case 'tcp-server':
      return ours === 0 ? [] : [`port ${ours}`];
    case 'udp':
      return theirs === ours || ours === 0 ? [`port ${theirs}`] : [`lport ${theirs}`, `rport ${ours}`];
  }
}

function transportPart(config: PeerConfig, end: OtherEnd): Part {
  const { transport } = config;
  const [first] = protocolsOf(transport);
  const stream = first !== 'udp';
  const waits = stream ? first === 'tcp-client' : transport.remotes.length > 0;
  const { localHost, localPort } = connectionSettings(transport, transport.remotes.at(0));
  const host = localHost ?? THIS_HOST;
  return part(
    [`proto ${protocol(config, end)}`, ...portLines(config), ...(waits ? [] : [`remote ${host}`])],
    waits && stream && 'it is the server, and waits to be called',
    waits &&
      !stream &&
      'it waits to be called; a `remote` line with the address of this end would let it call, too',
    !waits && localPort === 0 && 'nobody can call this end, whose port is any: write `lport 1194` here',
    !waits && host === THIS_HOST && `write the address of this end in place of ${THIS_HOST}`,
    transport.family === 'any' && upTo(end, '2.3') && `to OpenVPN ${end} \`proto ${first}\` is IPv4 only`,
    stream && end === '2.3' && 'OpenVPN 2.3 takes packets over TCP in strict order, as they are sent',
  );
}

/** Another address of the network: the first one, or the second for the end that has the first. */
function neighbour(local: string, netmask: string): string {
  const network = ((parseIpv4(local) ?? 0) & (parseIpv4(netmask) ?? 0)) >>> 0;
  const first = formatIpv4(network + 1);
  return first === local ? formatIpv4(network + 2) : first;
}

function addressPart({ device, tunnelAddresses }: PeerConfig, end: OtherEnd): Part {
  const { address, address6 } = device;
  const lines: string[] = [];
  const notes: string[] = [];
  if (address?.kind === 'p2p') lines.push(`ifconfig ${address.remote} ${address.local}`);
  else if (address !== undefined) {
    const own = tunnelAddresses.find((each) => parseIpv4(each) !== undefined);
    lines.push(...(device.type === 'tun' ? ['topology subnet'] : []));
    lines.push(`ifconfig ${own ?? neighbour(address.local, address.netmask)} ${address.netmask}`);
    if (own === undefined)
      notes.push('its address inside the tunnel is a guess: any free one of the network will do');
  }
  if (address6 !== undefined && upTo(end, '2.2')) {
    notes.push('OpenVPN 2.2 has no `ifconfig-ipv6`: IPv6 inside the tunnel ends at this end');
  } else if (address6 !== undefined) {
    lines.push(`ifconfig-ipv6 ${address6.remote}/${address6.prefixLength} ${address6.local}`);
  }
  if (device.ifconfigNoWarn) lines.push('ifconfig-nowarn');
  notes.push(behindNote(device, end));
  return part([`dev ${device.type}`, ...lines], ...notes);
}

/** What leads to the hosts on either side. */
function behindNote({ type, address, address6 }: PeerConfig['device'], end: OtherEnd): string {
  if (type === 'tun' || address !== undefined || address6 !== undefined) {
    return 'add a `route` line there for each network behind this end';
  }
  return end === 'tsvpn'
    ? 'add `bridge BRIDGE` there, without which its device stays down'
    : 'add `script-security 2` and an `up` script there, which does `ip link set dev "$1" mtu "$2" master BRIDGE up`';
}

/** A word of a config line. */
function quoted(word: string): string {
  return /^[\w./-]+$/.test(word) ? word : `"${word.replaceAll(/["\\]/g, '\\$&')}"`;
}

function cryptoPart({ cipher, digest, replay, key }: PeerConfig, end: OtherEnd): Part {
  if (!replay.enabled && end === '2.7') {
    throw refusal(
      'OpenVPN 2.7 refuses `no-replay`, which this end has',
      'packets without ids can be sent again by anybody who recorded them',
      'remove `no-replay` here',
    );
  }
  const { source, direction } = key;
  const file = source.kind === 'file' ? basename(source.path) : 'static.key';
  const there = direction === undefined ? '' : ` ${direction === 0 ? 1 : 0}`;
  const legacy = cipher.legacy || digest.legacy;
  const knowsProviders = !upTo(end, '2.5');
  const { window, timeSec } = replay;
  const ownWindow = replay.enabled && (window !== 64 || timeSec !== 15);
  const modern = /^(?:SHA3|SHA512-|BLAKE2|SM3)/.test(digest.name) || /^(?:ARIA|SM4)/.test(cipher.name);
  return part(
    [
      `secret ${quoted(file)}${there}`,
      `cipher ${cipher.name}`,
      `auth ${digest.name}`,
      ...(legacy && knowsProviders ? ['providers legacy default'] : []),
      ...(replay.enabled ? [] : ['no-replay']),
      ...(ownWindow ? [`replay-window ${window} ${timeSec}`] : []),
      ...(end === '2.7' ? ['setenv opt allow-deprecated-insecure-static-crypto'] : []),
    ],
    source.kind === 'inline'
      ? `put the key, the lines between <secret> and </secret> of this end, into ${file} there, over a safe channel`
      : `copy ${file} there, over a safe channel`,
    legacy &&
      !knowsProviders &&
      `${cipher.name} needs an OpenSSL 1, or an OpenSSL 3 whose openssl.cnf activates its legacy provider`,
    cipher.name === 'BF-CBC' && !knowsProviders && 'a `keysize` other than 128 there would change the key',
    modern && !knowsProviders && `cipher ${cipher.name} and auth ${digest.name} need OpenSSL 1.1.1 there`,
    end === '2.6' && 'OpenVPN 2.6 says twice at start that `secret` is deprecated; it works all the same',
    end === '2.7' && 'OpenVPN 2.7 runs static keys only with `allow-deprecated-insecure-static-crypto`',
  );
}

function framingPart({ framing }: PeerConfig, end: OtherEnd): Part {
  if (framing === 'off') return part([]);
  if (framing === 'lzo-stub' || framing === 'lzo') {
    return part(
      ['comp-lzo no'],
      framing === 'lzo' && '`comp-lzo no` is all it takes: nothing is compressed here',
    );
  }
  if (upTo(end, '2.3')) {
    throw refusal(
      `OpenVPN ${end} does not know \`compress\`, which this end has`,
      'it came with 2.4',
      'write on this end\n    comp-lzo no',
    );
  }
  const line = framing === 'stub' || framing === 'lz4' ? 'compress stub' : 'compress stub-v2';
  return part(
    [line],
    (framing === 'lz4' || framing === 'lz4-v2') && `\`${line}\` is all it takes: nothing is compressed here`,
    line === 'compress stub-v2' &&
      upTo(end, '2.5') &&
      `OpenVPN ${end} counts a byte too many in \`link-mtu\` with \`${line}\`, and warns of it: harmless`,
  );
}

/** Outer headers that a size in the `mtu` form counts. */
function outer({ transport }: PeerConfig): number {
  return OUTER_HEADERS[transport.family === 'ipv4' ? 4 : 6];
}

/** `mssfix` of 2.5 and older counts neither outer headers nor inner packets: datagrams without padding. */
function oldMssfix(config: PeerConfig, mssfix: MssFix): string | undefined {
  const shape = channelShape(config);
  switch (mssfix.mode) {
    case 'off':
      return 'mssfix 0';
    case 'default':
      return undefined;
    case 'payload':
      return `mssfix ${mssfix.value}`;
    case 'mtu':
      return `mssfix ${Math.max(0, mssfix.value - outer(config))}`;
    case 'fixed':
      return `mssfix ${mssfix.value + linkMtu(shape) - shape.tunMtu}`;
  }
}

function newMssfix(mssfix: MssFix): string | undefined {
  if (mssfix.mode === 'default') return undefined;
  if (mssfix.mode === 'off') return 'mssfix 0';
  return `mssfix ${mssfix.value}${mssfix.mode === 'payload' ? '' : ` ${mssfix.mode}`}`;
}

/** MSS that 2.5 and older clamp to by default (spec of mss.c before 2.6). */
function oldDefaultMss(config: PeerConfig): number {
  const shape = channelShape(config);
  return Math.min(OLD_MSSFIX, linkMtu(shape)) - (linkMtu(shape) - shape.tunMtu) - HEADER_40;
}

/** For 2.5 and older, which count no outer headers, and make larger fragments where little is left for data. */
function oldFragment(config: PeerConfig, fragment: NonNullable<PeerConfig['mtu']['fragment']>): string {
  if (!fragment.countsOuter) return fragmentLine(fragment);
  const bytes = fragment.bytes - outer(config);
  if (bytes < MIN_FRAGMENT) {
    throw refusal(
      `OpenVPN 2.5 and older would need a \`fragment\` of ${bytes} bytes`,
      'they count no outer headers, and make larger ones than that',
      'raise `fragment` on this end',
    );
  }
  return `fragment ${bytes}`;
}

function sizePart(config: PeerConfig, end: OtherEnd): Part {
  const { mtu } = config;
  const { tunMtuExtra } = channelShape(config);
  const old = upTo(end, '2.5');
  const told = mtu.occMtu ?? mtu.tunMtu;
  const mssfix = mtu.fromLinkMtu && mtu.mssfix.mode === 'off' ? 'mssfix 0' : newMssfix(mtu.mssfix);
  const oldLine = oldMssfix(config, mtu.mssfix);
  const { fragment } = mtu;
  const fragments = fragment && [old ? oldFragment(config, fragment) : fragmentLine(fragment)];
  const sizes = old || told === mtu.tunMtu ? `${told}` : `${mtu.tunMtu} ${told}`;
  const lines = [
    ...(sizes === '1500' ? [] : [`tun-mtu ${sizes}`]),
    ...(fragments ?? []),
    ...[old ? oldLine : mssfix].filter((line) => line !== undefined),
  ];
  return part(
    lines,
    old &&
      mtu.mssfix.mode === 'default' &&
      `OpenVPN ${end} clamps TCP to MSS ${oldDefaultMss(config)} by default; the smaller value of both ends wins`,
    old &&
      tunMtuExtra > 0 &&
      `OpenVPN ${end} tells \`tun-mtu ${told + tunMtuExtra}\` for a tap, and may warn of this end's ${told}: harmless`,
    old &&
      told !== mtu.tunMtu &&
      `the device here has an MTU of ${mtu.tunMtu}: packets between that and ${told} bytes are not taken`,
    mtu.fromLinkMtu && `\`link-mtu\` is not told to the peer as it is: write "tun-mtu ${told}" here, too`,
    old && fragmentFamily(config) !== undefined && `OpenVPN ${end} counts no outer headers in \`fragment\``,
  );
}

function timerLines({ timers, transport }: PeerConfig): string[] {
  const { pingSec, pingTimeoutSec, pingTimeoutAction } = timers;
  const { exitNotify } = connectionSettings(transport, transport.remotes[0]);
  const notify = exitNotify > 0 && !isStream(transport) ? [`explicit-exit-notify ${exitNotify}`] : [];
  if (pingSec > 0 && pingTimeoutSec >= 2 * pingSec && pingTimeoutAction === 'restart') {
    return [`keepalive ${pingSec} ${pingTimeoutSec}`, ...notify];
  }
  return [
    ...(pingSec > 0 ? [`ping ${pingSec}`] : []),
    ...(pingTimeoutSec > 0 ? [`ping-${pingTimeoutAction} ${pingTimeoutSec}`] : []),
    ...notify,
  ];
}

function dialectNotes(end: OtherEnd): string[] {
  return [
    ...(upTo(end, '2.5')
      ? [`OpenVPN ${end} pauses 5 seconds before a restart, and logs at \`verb 1\` where options differ`]
      : []),
    ...(upTo(end, '2.4')
      ? [`OpenVPN ${end} compresses what it sends if told to: leave \`comp-lzo yes\` out`]
      : []),
  ];
}

export interface OtherConfig {
  /** Lines without comments. */
  readonly lines: readonly string[];
  /** Sentences in lower case, without full stop. */
  readonly notes: readonly string[];
}

/** The config of the other end. Throws OperatorError (exit code 2) when that version cannot be the other end. */
export function otherEnd(config: PeerConfig, end: OtherEnd): OtherConfig {
  const parts = [
    addressPart(config, end),
    transportPart(config, end),
    cryptoPart(config, end),
    framingPart(config, end),
    sizePart(config, end),
    part(timerLines(config)),
    // 2.7 always keeps the key, and calls the line deprecated.
    part([...(end === '2.7' ? [] : ['persist-key']), 'persist-tun', 'verb 3'], ...dialectNotes(end)),
  ];
  return {
    lines: parts.flatMap(({ lines }) => lines),
    notes: parts.flatMap(({ notes }) => notes),
  };
}
