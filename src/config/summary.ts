/** What `tsvpn check` tells of a gateway: its peers, what lies behind each, and its rules, with the lines that say so. */
import { formatPosition } from '../errors.ts';
import type { SourcePosition } from '../errors.ts';
import { formatPrefix } from '../packet/prefix.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import { describeNatLine, describeNetmap } from './describe-nat.ts';
import type { GatewayConfig, PeerConfig, PeerRoute } from './model.ts';
import { bindsPort, protocolsOf } from './protocols.ts';

/** A sentence and where it comes from; `indent` 1 belongs to the nearest 0 above it. */
export interface SummaryLine {
  readonly indent: 0 | 1;
  readonly text: string;
  readonly where?: SourcePosition;
}

function deviceText({ device, tunMtu }: GatewayConfig): string {
  const addresses = [
    ...device.addresses.map((address) =>
      address.kind === 'p2p'
        ? `${address.local} to ${address.remote}`
        : `${address.local}/${address.prefixLength}`,
    ),
    ...device.addresses6.map(({ local, prefixLength }) => `${local}/${prefixLength}`),
  ];
  const name = device.name ?? `the next free ${device.type}`;
  const bridge = device.bridge === undefined ? [] : [`port of the bridge ${device.bridge}`];
  return `device ${name}, MTU ${tunMtu}: ${[...addresses, ...bridge].join(', ') || 'no address'}`;
}

function localText({ localHost, localPort }: ConnectionSettings, bound: boolean): string {
  return bound ? `listen on ${localHost ?? 'all addresses'}, port ${localPort}` : 'any local port';
}

/** Where packets come from and go to on the outside; UDP goes without saying. */
export function transportText({ transport }: PeerConfig): string {
  const { remotes } = transport;
  const protocols = protocolsOf(transport);
  const bound = protocols.some((protocol) => bindsPort(transport, protocol));
  const local = localText(transport, bound);
  const [first] = protocols;
  const alike = protocols.length === 1;
  const start = alike && first !== 'udp' ? `${first}; ${local}` : local;
  if (remotes.length === 0)
    return `${start}; wait for the peer to ${first === 'udp' ? 'speak first' : 'call'}`;
  const peers = remotes.map(({ host, port, protocol, connection }) => {
    const own = connection && localText(connection, bindsPort(connection, protocol));
    const notes = [...(alike ? [] : [protocol]), ...(own === undefined || own === local ? [] : [own])];
    const suffix = notes.length === 0 ? '' : ` (${notes.join('; ')})`;
    return protocol === 'tcp-server' ? `${host}${suffix}` : `${host} port ${port}${suffix}`;
  });
  return `${start}; peer ${peers.join(' or ')}`;
}

function routeText({ prefix, metric, kernel, directive }: PeerRoute): string {
  const notes = [
    ...(metric === 0 ? [] : [`metric ${metric}`]),
    ...(kernel || directive.startsWith('ifconfig') ? [] : ['no kernel route']),
  ];
  return `${formatPrefix(prefix)} by \`${directive}\`${notes.length === 0 ? '' : `, ${notes.join(', ')}`}`;
}

/** The peer's own addresses stand behind its name. */
function isAddress({ prefix, directive }: PeerRoute): boolean {
  return prefix.length === prefix.bytes.length * 8 && /^(?:ifconfig|peer-address)/.test(directive);
}

function sourcesText({ allowedSource, device }: PeerConfig): string[] {
  if (device.type === 'tap') return ['gets every Ethernet frame of the device'];
  if (allowedSource === 'any') return ['may send from any address'];
  const { prefixes } = allowedSource;
  return prefixes.length === 0 ? [] : [`may also send from ${prefixes.map(formatPrefix).join(', ')}`];
}

function peerLines(peer: PeerConfig): SummaryLine[] {
  const addresses = peer.tunnelAddresses.length === 0 ? '' : `, ${peer.tunnelAddresses.join(', ')}`;
  return [
    { indent: 0, text: `peer ${peer.name}${addresses}: ${transportText(peer)}`, where: peer.where },
    ...peer.peerRoutes
      .filter((route) => !isAddress(route))
      .map((route): SummaryLine => ({
        indent: 1,
        text: routeText(route),
        where: route.where,
      })),
    ...sourcesText(peer).map((text): SummaryLine => ({ indent: 1, text })),
    ...peer.netmap.map((rule): SummaryLine => {
      return { indent: 1, text: describeNetmap(rule, peer.name), where: rule.where };
    }),
  ];
}

function routingLines({ peers, clientToClient, refusals, routes, device }: GatewayConfig): SummaryLine[] {
  const between = clientToClient
    ? 'packets between peers are forwarded here'
    : 'packets between peers are left to the kernel';
  return [
    ...(peers.length > 1 ? [{ indent: 0 as const, text: between }] : []),
    ...refusals.map(({ kind, prefix, where }): SummaryLine => {
      return { indent: 0, text: `${formatPrefix(prefix)} is refused: ${kind}`, where };
    }),
    ...routes.map(({ network, prefixLength, gateway, where }): SummaryLine => {
      const outside = device.type === 'tap' ? '' : ', outside of the tunnel';
      const text = `${network}/${prefixLength} goes by way of ${gateway ?? 'the device'}${outside}`;
      return { indent: 0, text, where };
    }),
  ];
}

/** Has the gateway anything a stock tunnel has not? */
export function isPlain({ peers, nat, refusals, device }: GatewayConfig): boolean {
  const bridges = device.bridge === undefined ? 0 : 1;
  const more =
    bridges + nat.lines.length + refusals.length + peers.reduce((sum, { netmap }) => sum + netmap.length, 0);
  return peers.length === 1 && more === 0;
}

export function summarise(config: GatewayConfig): SummaryLine[] {
  const { nat } = config;
  return [
    { indent: 0, text: deviceText(config) },
    ...config.peers.flatMap(peerLines),
    ...routingLines(config),
    ...(nat.lines.length > 0 ? [{ indent: 0 as const, text: 'NAT, the first rule that matches:' }] : []),
    ...nat.lines.map((line): SummaryLine => {
      return { indent: 1, text: describeNatLine(line, nat), where: line.where };
    }),
  ];
}

/** The lines as text: `peer b: ... (b.conf:3)`. */
export function formatSummary(lines: readonly SummaryLine[]): string[] {
  return lines.map(({ indent, text, where }) => {
    const place = where === undefined ? '' : ` (${formatPosition(where).replace(/:\d+$/, '')})`;
    return `${'  '.repeat(indent + 1)}${text}${place}`;
  });
}
