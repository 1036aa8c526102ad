/**
 * Two sites with an internet between them, which knows neither site's network: what crosses it is in the tunnel.
 *
 *     site A 10.0.0.0/16                                                       site B 10.1.0.0/16
 *     hosta ──────── gatewaya ─────────── internet ──────────── gatewayb ──────── hostb
 *     10.0.1.2   10.0.1.1  192.0.2.2   192.0.2.1  198.51.100.1   198.51.100.2  10.1.1.1   10.1.1.2
 *                      10.254.0.1 ═══════ tunnel ═══════ 10.254.0.2
 */
import type { Topology } from './network.ts';
import type { HostName } from './report.ts';

export const HOSTS: readonly HostName[] = ['hosta', 'gatewaya', 'internet', 'gatewayb', 'hostb'];

const CABLES: Topology<HostName>['cables'] = [
  [
    { host: 'hosta', device: 'lan', addresses: ['10.0.1.2/16'] },
    { host: 'gatewaya', device: 'lan', addresses: ['10.0.1.1/16'] },
  ],
  [
    { host: 'gatewaya', device: 'wan', addresses: ['192.0.2.2/24'] },
    { host: 'internet', device: 'to-a', addresses: ['192.0.2.1/24'] },
  ],
  [
    { host: 'internet', device: 'to-b', addresses: ['198.51.100.1/24'] },
    { host: 'gatewayb', device: 'wan', addresses: ['198.51.100.2/24'] },
  ],
  [
    { host: 'gatewayb', device: 'lan', addresses: ['10.1.1.1/16'] },
    { host: 'hostb', device: 'lan', addresses: ['10.1.1.2/16'] },
  ],
];

export const LAB_TOPOLOGY: Topology<HostName> = {
  hosts: HOSTS,
  cables: CABLES,
  routes: [
    { host: 'hosta', gateway: '10.0.1.1' },
    { host: 'gatewaya', gateway: '192.0.2.1' },
    { host: 'gatewayb', gateway: '198.51.100.1' },
    { host: 'hostb', gateway: '10.1.1.1' },
  ],
  routers: ['gatewaya', 'internet', 'gatewayb'],
};

export const TUNNEL_DEVICE = 'tun0';

export interface Site {
  readonly letter: 'A' | 'B';
  readonly host: HostName;
  readonly gateway: HostName;
  readonly hostAddress: string;
  readonly gatewayLan: string;
  readonly gatewayWan: string;
  readonly tunnel: string;
  /** Dotted quad of the site's /16. */
  readonly network: string;
}

export const SITE_A: Site = {
  letter: 'A',
  host: 'hosta',
  gateway: 'gatewaya',
  hostAddress: '10.0.1.2',
  gatewayLan: '10.0.1.1',
  gatewayWan: '192.0.2.2',
  tunnel: '10.254.0.1',
  network: '10.0.0.0',
};

export const SITE_B: Site = {
  letter: 'B',
  host: 'hostb',
  gateway: 'gatewayb',
  hostAddress: '10.1.1.2',
  gatewayLan: '10.1.1.1',
  gatewayWan: '198.51.100.2',
  tunnel: '10.254.0.2',
  network: '10.1.0.0',
};

export function otherSite(site: Site): Site {
  return site === SITE_A ? SITE_B : SITE_A;
}

/** What a traceroute from the site's host to the other's must show, as with stock on both ends. */
export function expectedHops(from: Site): readonly string[] {
  const to = otherSite(from);
  return [from.gatewayLan, to.tunnel, to.hostAddress];
}
