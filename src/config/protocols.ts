/** Which protocols a peer may speak, and what that means for its sockets. */
import type { TransportProtocol } from '../protocol/constants.ts';
import { connectionSettings, type ConnectionSettings } from './connection-settings.ts';
import type { AddressFamily, PeerConfig } from './model.ts';

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

/** Local ports that are the peer's, for one remote or another. */
export function portsTaken(transport: Transport): TakenPort[] {
  const { remotes, protocol } = transport;
  const ways = remotes.length === 0 ? [undefined] : remotes;
  const taken = new Map<string, TakenPort>();
  for (const remote of ways) {
    const settings = connectionSettings(transport, remote);
    const spoken = remote?.protocol ?? protocol;
    if (!bindsPort(settings, spoken)) continue;
    const port = { protocol: spoken === 'udp' ? 'udp' : 'tcp', port: settings.localPort } as const;
    taken.set(`${port.protocol} ${port.port}`, port);
  }
  return [...taken.values()];
}

/** Protocols in which the peer has a local port. */
export function protocolsTaken(transport: Transport): ('udp' | 'tcp')[] {
  return [...new Set(portsTaken(transport).map(({ protocol }) => protocol))];
}

/** As `proto` has it: `udp`, `udp4`, `tcp6-server`. */
export function formatProtocol(protocol: TransportProtocol, family: AddressFamily): string {
  const digit = { any: '', ipv4: '4', ipv6: '6' }[family];
  return protocol === 'udp' ? `udp${digit}` : protocol.replace('tcp', `tcp${digit}`);
}
