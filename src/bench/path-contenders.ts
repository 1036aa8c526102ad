/** The same tunnel on paths of several MTUs: stock, tsvpn that does not measure the path, and tsvpn as it is. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { request } from '../control/client.ts';
import { buildPath, PATH_A, PATH_B, type PathKind } from '../lab/path.ts';
import { forwardFrom } from '../lab/network.ts';
import type { NetworkNamespace } from '../lab/namespaces.ts';
import { programMissing, type Contender } from './contenders.ts';
import { untilDevice } from './drivers/device.ts';
import { DEFAULT_SHAPE, startStaticKey, type StaticKeyEnd } from './drivers/static-key.ts';
import { ENDS, type EndName } from './testbed.ts';
import type { Place, StartedTunnel } from './tunnel.ts';

export interface PathConditions {
  readonly kind: PathKind;
  readonly mtu: number;
}

const MASK = '255.255.0.0';
const MEASURE_TIMEOUT_MS = 15_000;
const RETRY_MS = 200;

/** The first is what the others are compared with. Both ends are alike. */
export function pathContenders(conditions: PathConditions, tsvpnCommand: readonly string[]): Contender[] {
  const all: readonly (readonly [string, string, StaticKeyEnd['implementation'], readonly string[]])[] = [
    ['stock', 'OpenVPN ↔ OpenVPN', 'openvpn', []],
    ['tsvpn-unmeasured', 'tsvpn ↔ tsvpn, mtu-probe off', 'tsvpn', ['setenv opt mtu-probe off']],
    ['tsvpn', 'tsvpn ↔ tsvpn', 'tsvpn', []],
  ];
  return all.map(([name, title, implementation, lines]) => ({
    name,
    title,
    missing: () =>
      (implementation === 'openvpn' ? programMissing('openvpn', 'openvpn')() : undefined) ??
      (conditions.kind === 'icmp' ? undefined : programMissing('nft', 'nftables')()),
    start: (place) => startOnPath(place, conditions, { implementation, lines }, tsvpnCommand),
  }));
}

/** Traffic then goes from the host behind one gateway to the host behind the other. */
async function startOnPath(
  place: Place,
  { kind, mtu }: PathConditions,
  end: StaticKeyEnd,
  tsvpnCommand: readonly string[],
): Promise<StartedTunnel> {
  const { testbed, number, device } = place;
  const hosts: NetworkNamespace[] = [];
  const dispose = () => hosts.forEach((host) => testbed.removeHost(host));
  try {
    const path = buildPath({ kind, there: mtu, back: mtu, ipv6: false }, (name) => {
      const host = testbed.addHost(`${name}-${number}`);
      hosts.push(host);
      return host;
    });
    const gateways = { a: path.gatewaya, b: path.gatewayb };
    const outer = { a: PATH_A.outer, b: PATH_B.outer };
    const ends = {
      a: { ...end, lines: [...(end.lines ?? []), `route ${PATH_B.network} ${MASK}`] },
      b: { ...end, lines: [...(end.lines ?? []), `route ${PATH_A.network} ${MASK}`] },
    };
    const onPath = { ...place, testbed: { ...testbed, ...gateways, outer } };
    const daemons = await startStaticKey(onPath, ends, DEFAULT_SHAPE, tsvpnCommand);
    for (const gateway of [path.gatewaya, path.gatewayb]) {
      await untilDevice(gateway, device);
      forwardFrom(gateway, device);
    }
    if (end.implementation === 'tsvpn') await Promise.all(ENDS.map((each) => measured(onPath, each)));
    const address = { a: PATH_A.host, b: PATH_B.host };
    return { testbed: { ...testbed, a: path.hosta, b: path.hostb }, address, daemons, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** Resolves when the end has measured the path, whether it goes by what it finds or not; it cannot before it hears its peer. */
async function measured({ testbed, device }: Place, end: EndName): Promise<void> {
  const deadline = performance.now() + MEASURE_TIMEOUT_MS;
  for (;;) {
    try {
      await request(join(testbed.folder, 'run'), `${device}-${end}`, 'mtu', {});
      return;
    } catch (error) {
      testbed.signal.throwIfAborted();
      if (performance.now() > deadline) throw error;
    }
    await pause(RETRY_MS);
  }
}
