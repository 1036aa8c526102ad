/**
 * The pair of configs `tsvpn init` writes: the same tunnel seen from both ends. Each end may run tsvpn or an OpenVPN
 * that is old or new; the files differ only where a version demands it.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { ExitCode, OperatorError, OperatorErrors } from '../errors.ts';
import { clearHostBits, hasHostBits, samePrefix, splitPrefix } from './address.ts';
import { addressBytes, formatIpv4, formatIpv6 } from '../packet/address.ts';
import { host } from './arguments.ts';

export const FLAVOURS = ['tsvpn', 'openvpn-2.4', 'openvpn-2.6', 'openvpn-2.7'] as const;
export type Flavour = (typeof FLAVOURS)[number];

export interface Site {
  /** Base name of the site's config file; also names the site in comments. */
  readonly name: string;
  readonly flavour: Flavour;
  /** Where the other site reaches this one; undefined when it cannot (a NAT, a changing address). */
  readonly address: string | undefined;
  /** IPv4 address of this end inside the tunnel. */
  readonly tunnelAddress: string;
  /** Networks behind this site as `address/length`, IPv4 or IPv6. */
  readonly networks: readonly string[];
}

export interface PairOptions {
  readonly a: Site;
  readonly b: Site;
  /** Of both ends. */
  readonly port: number;
  /** With TCP the first site with an address is the server. */
  readonly protocol: 'udp' | 'tcp';
  /** Static key file text (crypto/static-key.ts, formatStaticKey). */
  readonly keyText: string;
}

export interface Pair {
  readonly a: string;
  readonly b: string;
}

interface Network {
  readonly bytes: Uint8Array;
  readonly length: number;
}

/** Tunnel addresses for pairs that carry IPv6; RFC 4193, from the same digits as the IPv4 default. */
const TUNNEL6 = ['fd00:10:254::1', 'fd00:10:254::2'] as const;

function usage(what: string, fix: string): OperatorError {
  return new OperatorError({ code: 'INIT_OPTIONS', what, fix, exitCode: ExitCode.Usage });
}

function formatBytes(bytes: Uint8Array): string {
  return bytes.length === 4 ? formatIpv4(new DataView(bytes.buffer).getUint32(0)) : formatIpv6(bytes);
}

/** Reads `address/length`; host bits are an error that names the network probably meant. */
function readNetwork(text: string, problems: OperatorError[]): Network | undefined {
  const split = splitPrefix(text);
  const bytes = split === undefined ? undefined : addressBytes(split.address);
  const bits = (bytes?.length ?? 0) * 8;
  const length = split?.length ?? bits;
  if (bytes === undefined || length > bits) {
    problems.push(
      usage(`${JSON.stringify(text)} is not a network`, 'write it as ADDRESS/LENGTH: 10.0.0.0/16'),
    );
    return undefined;
  }
  if (hasHostBits(bytes, length)) {
    const meant = `${formatBytes(clearHostBits(bytes, length))}/${length}`;
    problems.push(usage(`${text} has bits set behind its length`, `did you mean ${meant}?`));
    return undefined;
  }
  return { bytes, length };
}

function overlap(a: Network, b: Network): boolean {
  return samePrefix(a.bytes, b.bytes, Math.min(a.length, b.length));
}

function checkNetworks({ a, b }: PairOptions, problems: OperatorError[]): void {
  const [ofA, ofB] = [a, b].map((site) =>
    site.networks.flatMap((text) => ({ text, network: readNetwork(text, problems) })),
  );
  for (const here of ofA) {
    for (const there of ofB) {
      if (here.network === undefined || there.network === undefined || !overlap(here.network, there.network))
        continue;
      const what = `the networks ${here.text} and ${there.text} of the two sites overlap`;
      problems.push(
        usage(what, 'a route needs each network on one side only: renumber one, or name smaller networks'),
      );
    }
  }
  for (const { tunnelAddress } of [a, b]) {
    const bytes = addressBytes(tunnelAddress);
    const inside = [...ofA, ...ofB].find(
      ({ network }) =>
        bytes !== undefined && network !== undefined && samePrefix(bytes, network.bytes, network.length),
    );
    if (inside === undefined) continue;
    const what = `the tunnel address ${tunnelAddress} lies in ${inside.text}`;
    problems.push(usage(what, 'take two addresses that neither site uses: 10.254.0.1 and 10.254.0.2'));
  }
}

function checkAddresses({ a, b }: PairOptions, problems: OperatorError[]): void {
  for (const { tunnelAddress } of [a, b]) {
    if (!isIPv4(tunnelAddress))
      problems.push(usage(`${JSON.stringify(tunnelAddress)} is not an IPv4 address`, '10.254.0.1'));
  }
  if (a.tunnelAddress === b.tunnelAddress) {
    problems.push(usage('both ends have the same tunnel address', 'take 10.254.0.1 and 10.254.0.2'));
  }
  for (const { address } of [a, b]) {
    if (address === undefined) continue;
    const read = host.read(address);
    if ('expected' in read)
      problems.push(usage(`${JSON.stringify(address)} is not ${read.expected}`, 'gw.example.net'));
  }
  if (a.address === undefined && b.address === undefined) {
    problems.push(
      usage('neither site has an address', 'at least one must be reachable: name its address or host name'),
    );
  }
  const [first, second] = [a.address ?? '', b.address ?? ''];
  if ((isIPv4(first) && isIPv6(second)) || (isIPv6(first) && isIPv4(second))) {
    problems.push(
      usage(`${first} and ${second} are of different families`, 'name two IPv4 or two IPv6 addresses'),
    );
  }
}

function checkOptions(options: PairOptions): void {
  const problems: OperatorError[] = [];
  if (!Number.isInteger(options.port) || options.port < 1 || options.port > 65535) {
    problems.push(usage(`${options.port} is not a port`, '1194'));
  }
  for (const { name } of [options.a, options.b]) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
      problems.push(
        usage(`${JSON.stringify(name)} cannot name a site`, 'use letters, digits, dots and dashes'),
      );
    }
  }
  checkAddresses(options, problems);
  checkNetworks(options, problems);
  if (problems.length > 0) throw new OperatorErrors(problems);
}

function netmask(length: number): string {
  return formatBytes(clearHostBits(Uint8Array.of(255, 255, 255, 255), length));
}

function routeLine(text: string): string {
  const [address, length] = text.split('/');
  if (isIPv6(address)) return `route-ipv6 ${address}/${length ?? 128}`;
  return `route ${address} ${netmask(Number(length ?? 32))}`;
}

function header(site: Site, other: Site): string[] {
  const start =
    site.flavour === 'tsvpn' ? `sudo tsvpn up ${site.name}.conf` : `sudo openvpn --config ${site.name}.conf`;
  return [
    `# ${site.name}: static-key tunnel to ${other.name}, written by tsvpn init.`,
    `# Start it with:  ${start}`,
    '# The key is at the end: keep this file at mode 0600, and copy it over a safe channel only.',
  ];
}

/** Who sends to whom. A listener without `remote` binds IPv4 only, unless its protocol says otherwise. */
function transportLines(site: Site, other: Site, { port, protocol, a, b }: PairOptions): string[] {
  if (protocol === 'tcp') {
    const server = a.address === undefined ? b : a;
    if (site !== server) return ['proto tcp-client', `port ${port}`, `remote ${other.address}`];
    return [`proto ${isIPv6(site.address ?? '') ? 'tcp6' : 'tcp'}-server`, `port ${port}`];
  }
  const waits = other.address === undefined;
  const proto = waits && isIPv6(site.address ?? '') ? 'udp6' : 'udp';
  return [`proto ${proto}`, `port ${port}`, ...(waits ? [] : [`remote ${other.address}`, 'float'])];
}

function addressLines(site: Site, other: Site, direction: 0 | 1): string[] {
  const ipv6 = [...site.networks, ...other.networks].some((network) => network.includes(':'));
  const [local6, remote6] = direction === 0 ? TUNNEL6 : [TUNNEL6[1], TUNNEL6[0]];
  return [
    'dev tun',
    `ifconfig ${site.tunnelAddress} ${other.tunnelAddress}`,
    ...(ipv6 ? [`ifconfig-ipv6 ${local6}/64 ${remote6}`] : []),
    ...other.networks.map(routeLine),
  ];
}

function render(site: Site, other: Site, direction: 0 | 1, options: PairOptions): string {
  const lines = [
    ...header(site, other),
    '',
    ...transportLines(site, other, options),
    '',
    ...addressLines(site, other, direction),
    '',
    'cipher AES-256-CBC',
    'auth SHA256',
    ...(site.flavour === 'openvpn-2.7' ? ['setenv opt allow-deprecated-insecure-static-crypto'] : []),
    '',
    'keepalive 10 60',
    // 2.7 always keeps the key, and calls the line deprecated.
    ...(site.flavour === 'openvpn-2.7' ? [] : ['persist-key']),
    'persist-tun',
    'verb 3',
    '',
    `key-direction ${direction}`,
    '<secret>',
    options.keyText.trimEnd(),
    '</secret>',
  ];
  return `${lines.join('\n')}\n`;
}

/** The configs of both ends. Throws OperatorErrors (exit code 2) with everything that is wrong with the options. */
export function writePair(options: PairOptions): Pair {
  checkOptions(options);
  const { a, b } = options;
  return { a: render(a, b, 0, options), b: render(b, a, 1, options) };
}
