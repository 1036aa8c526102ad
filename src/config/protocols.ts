/** Which protocols a peer may speak, and what that means for its sockets. */
import type { TransportProtocol } from '../protocol/constants.ts';
import type { AddressFamily, PeerConfig } from './model.ts';

type Transport = Pick<PeerConfig['transport'], 'protocol' | 'remotes' | 'bind' | 'bindClient'>;

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
export function bindsPort(transport: Transport, protocol: TransportProtocol): boolean {
  return transport.bind && (protocol !== 'tcp-client' || transport.bindClient);
}

/** Protocols in which the peer's local port is taken. */
export function portsTaken(transport: Transport): ('udp' | 'tcp')[] {
  const bound = protocolsOf(transport).filter((protocol) => bindsPort(transport, protocol));
  return [...new Set(bound.map((protocol) => (protocol === 'udp' ? 'udp' : 'tcp')))];
}

/** As `proto` has it: `udp`, `udp4`, `tcp6-server`. */
export function formatProtocol(protocol: TransportProtocol, family: AddressFamily): string {
  const digit = { any: '', ipv4: '4', ipv6: '6' }[family];
  return protocol === 'udp' ? `udp${digit}` : protocol.replace('tcp', `tcp${digit}`);
}
