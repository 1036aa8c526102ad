/** What a config asks of the kernel, in the order it is done. Pure: nothing is changed or looked up here. */
import type { PeerConfig, RouteConfig } from '../config/model.ts';
import type { KernelChange } from './change.ts';

/**
 * The changes for one tunnel on the device `deviceName`: MTU, queue length, addresses, up, then the routes in
 * config order. As in stock a device without `ifconfig` (or with `ifconfig-noexec`) is left as it was opened:
 * down, default MTU; `txqueuelen` and routes still apply.
 */
export function planKernel(config: PeerConfig, deviceName: string): KernelChange[] {
  const { address, address6, noExec, txQueueLength } = config.device;
  const configured = !noExec && (address !== undefined || address6 !== undefined);
  const changes: KernelChange[] = [];
  if (configured) changes.push({ kind: 'mtu', device: deviceName, mtu: config.mtu.tunMtu });
  if (txQueueLength !== undefined) {
    changes.push({ kind: 'txqueuelen', device: deviceName, packets: txQueueLength });
  }
  if (configured) {
    changes.push(...planAddresses(config.device, deviceName), { kind: 'up', device: deviceName });
  }
  if (!config.routeNoExec) changes.push(...config.routes.map((route) => planRoute(route, deviceName)));
  return changes;
}

function planAddresses({ address, address6 }: PeerConfig['device'], device: string): KernelChange[] {
  const changes: KernelChange[] = [];
  if (address !== undefined) {
    const p2p = address.kind === 'p2p';
    changes.push({
      kind: 'address',
      device,
      family: 4,
      local: address.local,
      peer: p2p ? address.remote : undefined,
      prefixLength: p2p ? 32 : address.prefixLength,
    });
  }
  if (address6 !== undefined) {
    const { local, prefixLength } = address6;
    changes.push({ kind: 'address', device, family: 6, local, peer: undefined, prefixLength });
  }
  return changes;
}

function planRoute(route: RouteConfig, device: string): KernelChange {
  const { family, network, prefixLength, gateway, metric, where } = route;
  if (family === 6) {
    return { kind: 'route', family, network, prefixLength, gateway: undefined, device, metric, where };
  }
  if (gateway === undefined) {
    const why =
      'no gateway: name one in the route line or with route-gateway (topology subnet has no default)';
    return { kind: 'route-skipped', network, prefixLength, why, where };
  }
  return { kind: 'route', family, network, prefixLength, gateway, device: undefined, metric, where };
}
