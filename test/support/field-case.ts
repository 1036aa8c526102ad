/**
 * The field case: two VPCs joined by OpenVPN's static-key mode, and what a host behind one sees of a host behind the
 * other.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { COMPLETED, startGateway, writeKey, type Implementation } from './gateway.ts';
import { staticKeyText } from './keys.ts';
import type { Daemon } from './process.ts';
import { FIELD, type FieldCase } from './topology.ts';
import { expectPing, traceroute } from './traffic.ts';

export interface Site {
  readonly daemon: Daemon;
  readonly statusFile: string;
}

function siteConfig(lines: {
  remote: string;
  route: string;
  ifconfig: string;
  secret: string;
  status: string;
}) {
  return `
port 1194
proto udp
dev tun
secret ${lines.secret}
remote ${lines.remote}
route ${lines.route} 255.255.0.0
ifconfig ${lines.ifconfig}
status ${lines.status}
verb 3
cipher AES-256-CBC
auth SHA256
`;
}

/** Starts both gateways and waits until both report the tunnel complete. */
export async function startSites(
  net: FieldCase,
  a: Implementation,
  b: Implementation,
): Promise<{ a: Site; b: Site }> {
  const secret = writeKey(net, 'static.key', staticKeyText());
  const site = (
    name: 'a' | 'b',
    implementation: Implementation,
    lines: { remote: string; route: string; ifconfig: string },
  ): Site => {
    const status = `openvpn-status-${name}.log`;
    const config = siteConfig({ ...lines, secret, status });
    const gateway = name === 'a' ? net.gatewayA : net.gatewayB;
    const daemon = startGateway(net, gateway, { implementation, name: `site-${name}`, config });
    return { daemon, statusFile: `${net.folder}/${status}` };
  };
  const siteA = site('a', a, {
    remote: FIELD.gatewayB,
    route: '10.1.0.0',
    ifconfig: `${FIELD.tunnelA} ${FIELD.tunnelB}`,
  });
  const siteB = site('b', b, {
    remote: FIELD.gatewayA,
    route: '10.0.0.0',
    ifconfig: `${FIELD.tunnelB} ${FIELD.tunnelA}`,
  });
  await Promise.all([siteA.daemon.waitFor(COMPLETED), siteB.daemon.waitFor(COMPLETED)]);
  return { a: siteA, b: siteB };
}

/** Ping and traceroute host to host in both directions: three hops, with the two gateways in the middle. */
export async function expectHostsReachEachOther(net: FieldCase): Promise<void> {
  await Promise.all([expectPing(net.hostA, FIELD.hostB), expectPing(net.hostB, FIELD.hostA)]);
  await Promise.all([expectPing(net.hostA, FIELD.hostB, 1472), expectPing(net.hostB, FIELD.hostA, 1472)]);
  expect(await traceroute(net.hostA, FIELD.hostB)).toEqual([
    FIELD.gatewayAInside,
    FIELD.tunnelB,
    FIELD.hostB,
  ]);
  expect(await traceroute(net.hostB, FIELD.hostA)).toEqual([
    FIELD.gatewayBInside,
    FIELD.tunnelA,
    FIELD.hostA,
  ]);
}

/** The status file has exactly stock's lines, in stock's order. */
export function expectStatusFile(site: Site): void {
  expect(readFileSync(site.statusFile, 'utf8')).toMatch(
    new RegExp(
      [
        '^OpenVPN STATISTICS',
        'Updated,\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d',
        'TUN/TAP read bytes,\\d+',
        'TUN/TAP write bytes,\\d+',
        'TCP/UDP read bytes,\\d+',
        'TCP/UDP write bytes,\\d+',
        'Auth read bytes,\\d+',
        'END\n$',
      ].join('\n'),
    ),
  );
}
