/** Which protocols a peer may speak, and what that means for its sockets. */
import type { TransportProtocol } from '../protocol/constants.ts';
import { connectionSettings, type ConnectionSettings } from './connection-settings.ts';
import type { AddressFamily, PeerConfig, Remote } from './model.ts';

type Transport = PeerConfig['transport'];

/** Each once, that of the first remote first. */
export function protocolsOf({
  protocol,
  remotes,
}: Pick<Transport, 'protocol' | 'remotes'>): TransportProtocol[] {
  return remotes.length === 0 ? [protocol] : [...new Set(remotes.map((remote) => remote.protocol))];
}

/** Only TCP, whichever remote it is. */
export function isStream(transport: Pick<Transport, 'protocol' | 'remotes'>): boolean {
  return !protocolsOf(transport).includes('udp');
}

/** Does the socket for this protocol get the configured address and port? */
export function bindsPort(
  { bind, bindClient }: Pick<ConnectionSettings, 'bind' | 'bindClient'>,
  protocol: TransportProtocol,
): boolean {
  return bind && (protocol !== 'tcp-client' || bindClient);
}

export interface TakenPort {
  readonly protocol: 'udp' | 'tcp';
  readonly port: number;
}

/** A local port that is the peer's on the way to `remote`, undefined for a peer without one. */
export interface PortClaim extends TakenPort {
  readonly remote: Remote | undefined;
  readonly settings: ConnectionSettings;
}

/** Those of all remotes. Port 0 is one that the kernel chooses. */
export function portClaims(transport: Transport): PortClaim[] {
  const { remotes } = transport;
  const ways = remotes.length === 0 ? [undefined] : remotes;
  return ways.flatMap((remote) => {
    const settings = connectionSettings(transport, remote);
    const spoken = remote?.protocol ?? transport.protocol;
    if (!bindsPort(settings, spoken)) return [];
    const protocol = spoken === 'udp' ? 'udp' : 'tcp';
    return [{ protocol, port: settings.localPort, remote, settings } as const];
  });
}

/** Local ports that are the peer's, for one remote or another. */
export function portsTaken(transport: Transport): TakenPort[] {
  const taken = new Map<string, TakenPort>();
  for (const { protocol, port } of portClaims(transport))
    taken.set(`${protocol} ${port}`, { protocol, port });
  return [...taken.values()];
}

/** Protocols in which the peer has a local port. */
export function protocolsTaken(transport: Transport): ('udp' | 'tcp')[] {
  return [...new Set(portClaims(transport).map(({ protocol }) => protocol))];
}

/** As `proto` has it: `udp`, `udp4`, `tcp6-server`. */
export function formatProtocol(protocol: TransportProtocol, family: AddressFamily): string {
  const digit = { any: '', ipv4: '4', ipv6: '6' }[family];
  return protocol === 'udp' ? `udp${digit}` : protocol.replace('tcp', `tcp${digit}`);
}
