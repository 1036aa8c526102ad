import { AF_INET } from '../../src/transport/endpoint.ts';
import type { UdpSocketOptions } from '../../src/udp/open.ts';

/** A socket as a config without lines about it asks for: any address, any port. */
export const PLAIN_SOCKET: UdpSocketOptions = {
  family: AF_INET,
  localHost: undefined,
  localPort: 0,
  ipv6Only: false,
  sendBufferBytes: undefined,
  receiveBufferBytes: undefined,
  mark: undefined,
  bindDevice: undefined,
  mtuDiscovery: undefined,
  multihome: false,
  trafficClass: false,
  offload: false,
};
