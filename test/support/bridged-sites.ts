/**
 * Two sites on one broadcast domain:
 *
 *     host A ── lan ─┐                                      ┌─ lan ── host B
 *                  [br0] gateway A ── outer ── gateway B [br0]
 *     10.7.0.1       └─ tap0 ═══════════════════════ tap0 ─┘       10.7.0.2
 *     fd00:7::1                                                    fd00:7::2
 *
 * The gateways have no address on the bridge: they are no hop, and nothing is routed.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMPLETED, startGateway, writeKey, type Implementation } from './gateway.ts';
import { staticKeyText } from './keys.ts';
import type { Namespace } from './netns.ts';
import type { Daemon } from './process.ts';
import { createLink, OUTER, type Link } from './topology.ts';

export interface BridgedSites extends Link {
  readonly hostA: Namespace;
  readonly hostB: Namespace;
}

export const HOST = {
  a: { ipv4: '10.7.0.1', ipv6: 'fd00:7::1' },
  b: { ipv4: '10.7.0.2', ipv6: 'fd00:7::2' },
} as const;

export async function createBridgedSites(): Promise<BridgedSites> {
  const link = await createLink();
  const hostA = await link.namespace('host-a');
  const hostB = await link.namespace('host-b');
  for (const [gateway, host, address] of [
    [link.a, hostA, HOST.a],
    [link.b, hostB, HOST.b],
  ] as const) {
    await link.connect(gateway, 'lan', host, 'lan');
    await gateway.ip('link', 'add', 'br0', 'type', 'bridge');
    await gateway.ip('link', 'set', 'br0', 'up');
    await gateway.ip('link', 'set', 'lan', 'master', 'br0');
    await host.ip('address', 'add', `${address.ipv4}/24`, 'dev', 'lan');
    await host.ip('address', 'add', `${address.ipv6}/64`, 'dev', 'lan', 'nodad');
  }
  return { ...link, hostA, hostB };
}

/** Who runs at each site; A waits to be called. */
export interface Bridging {
  readonly a: Implementation;
  readonly b: Implementation;
  /** Ours puts the device into the bridge by a script as well. */
  readonly scripts?: boolean;
  /** For both ends. */
  readonly lines?: readonly string[];
  /** Several run at a time with a number each. */
  readonly number?: number;
}

export interface BridgedTunnel {
  readonly a: Daemon;
  readonly b: Daemon;
}

/** Stock says nothing of the bridge: a script does, which is given the device's name and MTU. */
const SCRIPT = '#!/bin/sh\nset -e\nip link set dev "$1" mtu "$2" master br0 up\n';

export async function bridge(sites: BridgedSites, options: Bridging): Promise<BridgedTunnel> {
  const { number = 0, lines = [], scripts = false } = options;
  const key = writeKey(sites, `bridge-${number}.key`, staticKeyText());
  const script = join(sites.folder, 'bridge-up');
  writeFileSync(script, SCRIPT, { mode: 0o755 });
  const start = (site: 'a' | 'b') => {
    const implementation = options[site];
    const byScript = scripts || implementation === 'openvpn';
    const config = [
      `dev tap${number}`,
      'proto udp',
      `port ${1194 + number}`,
      ...(site === 'b' ? [`remote ${OUTER.a.ipv4} ${1194 + number}`] : []),
      `secret ${key} ${site === 'a' ? 0 : 1}`,
      'cipher AES-256-CBC',
      'auth SHA256',
      'ping 1',
      'verb 3',
      ...(byScript ? ['script-security 2', `up ${script}`] : ['bridge br0']),
      ...lines,
    ].join('\n');
    return startGateway(sites, sites[site], { implementation, name: `bridge-${number}-${site}`, config });
  };
  const [a, b] = [start('a'), start('b')];
  await Promise.all([a.waitFor(COMPLETED), b.waitFor(COMPLETED)]);
  return { a, b };
}

export async function endBridge({ a, b }: BridgedTunnel): Promise<void> {
  await Promise.all([a.stop(), b.stop()]);
}
