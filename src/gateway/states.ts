/** What happens to a gateway, in the words of OpenVPN's states. */
import type { ConnectionSettings } from '../config/connection-settings.ts';
import type { GatewayConfig, PeerConfig } from '../config/model.ts';
import { formatProtocol } from '../config/protocols.ts';
import type { RemoteEntry, StateChange } from '../control/overseer.ts';
import type { RestartReason } from '../engine/messages.ts';

function ownAddresses({ device }: GatewayConfig): Pick<StateChange, 'ipv4' | 'ipv6'> {
  return { ipv4: device.addresses.at(0)?.local, ipv6: device.addresses6.at(0)?.local };
}

/** The device is about to get its addresses; undefined when it has none, or others see to it. */
export function assigning(config: GatewayConfig): StateChange | undefined {
  const { addresses, addresses6, noExec } = config.device;
  if (noExec || (addresses.length === 0 && addresses6.length === 0)) return undefined;
  return { name: 'ASSIGN_IP', ...ownAddresses(config) };
}

/** Routes are about to be made; undefined when there are none. */
export function addingRoutes(config: GatewayConfig): StateChange | undefined {
  const { routes, lateRoutes, redirect, peers, routeNoExec } = config;
  if (routeNoExec) return undefined;
  const some =
    routes.length > 0 ||
    lateRoutes.length > 0 ||
    redirect !== undefined ||
    peers.some(
      (peer) => peer.routes.length > 0 || peer.peerRoutes.some(({ directive }) => directive === 'peer-route'),
    );
  return some ? { name: 'ADD_ROUTES' } : undefined;
}

/** `endpoint`: where the peer was heard from, `[AF_INET]192.0.2.1:1194`. */
export function connected(
  config: GatewayConfig,
  { localHost, localPort }: Pick<ConnectionSettings, 'localHost' | 'localPort'>,
  endpoint: string,
): StateChange {
  const [, address = '', port = ''] = /\](.*):(\d+)$/.exec(endpoint) ?? [];
  return {
    name: 'CONNECTED',
    detail: 'SUCCESS',
    ...ownAddresses(config),
    remote: { address, port: Number(port) },
    local: localHost === undefined ? undefined : { address: localHost, port: localPort },
  };
}

export function reconnecting(reason: RestartReason): StateChange {
  return { name: 'RECONNECTING', detail: reason.startsWith('sig') ? reason.toUpperCase() : reason };
}

/** `reason` as the gateway ended for it: a signal in lower case, a word, or a sentence. `notifies`: peers are told. */
export function exiting(reason: string, notifies: boolean): StateChange {
  const asked = /^sig[a-z]+$/.test(reason) || reason === 'control';
  if (asked && notifies) return { name: 'EXITING', detail: 'exit-with-notification' };
  if (asked) return { name: 'EXITING', detail: reason === 'control' ? 'SIGTERM' : reason.toUpperCase() };
  return { name: 'EXITING', detail: /^[a-z-]+$/.test(reason) ? reason : 'error' };
}

export function remoteEntry({
  host,
  port,
  protocol,
  family,
}: PeerConfig['transport']['remotes'][number]): RemoteEntry {
  return { host, port, proto: formatProtocol(protocol, family) };
}
