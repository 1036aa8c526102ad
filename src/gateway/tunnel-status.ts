/** What `status` shows of the whole tunnel. */
import { resolve } from 'node:path';
import type { GatewayConfig } from '../config/model.ts';
import {
  overallState,
  PREFIXES_SHOWN,
  STATUS_SCHEMA,
  type TunnelState,
  type TunnelStatus,
} from '../control/status.ts';
import { VERSION } from '../control/version.ts';
import { Counter } from '../engine/counters.ts';
import { formatPrefix } from '../packet/prefix.ts';
import type { Route } from '../route/route.ts';
import type { OpenTun } from '../tun/open.ts';
import type { DataPlane } from './data-plane.ts';
import type { PeerSession } from './peer-session.ts';
import { drops, tunnelTraffic } from './tally.ts';

export interface TunnelParts {
  readonly config: GatewayConfig;
  readonly tun: OpenTun;
  readonly plane: DataPlane;
  readonly peers: readonly PeerSession[];
  readonly routes: readonly Route[];
}

/** Remembers when the tunnel came into its state. */
export class TunnelClock {
  private readonly startedAt = new Date();
  private state: TunnelState = 'starting';
  private since = this.startedAt;
  private exiting = false;

  exit(): void {
    this.exiting = true;
  }

  /** To be called when a peer's state may have changed. */
  look(peers: readonly PeerSession[]): void {
    const state = this.exiting ? 'exiting' : overallState(peers.map(({ stateName }) => stateName));
    if (state === this.state) return;
    this.state = state;
    this.since = new Date();
  }

  status(name: string, { config, tun, plane, peers, routes }: TunnelParts): TunnelStatus {
    this.look(peers);
    const counters = peers.map((peer) => peer.counters);
    const framed = config.peers.some(({ framing }) => framing !== 'off');
    return {
      schema: STATUS_SCHEMA,
      version: VERSION,
      name,
      pid: process.pid,
      state: this.state,
      stateSince: this.since.toISOString(),
      startedAt: this.startedAt.toISOString(),
      uptimeSec: Math.floor((Date.now() - this.startedAt.getTime()) / 1000),
      configFiles: config.files.map((file) => resolve(config.process.startDirectory, file)),
      device: tun.name,
      deviceType: tun.type,
      tunMtu: config.tunMtu,
      addresses: deviceAddresses(config),
      routes: {
        count: routes.length,
        first: routes.slice(0, PREFIXES_SHOWN).map(({ prefix }) => formatPrefix(prefix)),
      },
      nat: null,
      cryptoProvider: plane.providerDescription,
      traffic: tunnelTraffic(plane.counters, counters, framed),
      drops: drops(plane.counters, ...counters),
      icmpSent: plane.counters.get(Counter.IcmpSent),
      offload: { tun: tun.offload, fallbacks: plane.counters.get(Counter.OffloadFallbacks) },
      peers: peers.map((peer) => peer.status(config.process.startDirectory)),
    };
  }
}

function deviceAddresses({ device }: GatewayConfig): string[] {
  return [
    ...device.addresses.map((address) =>
      address.kind === 'p2p'
        ? `${address.local} peer ${address.remote}`
        : `${address.local}/${address.prefixLength}`,
    ),
    ...device.addresses6.map(({ local, prefixLength }) => `${local}/${prefixLength}`),
  ];
}
