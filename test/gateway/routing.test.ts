import { describe, expect, it } from 'vitest';
import type { GatewayConfig } from '../../src/config/model.ts';
import { parseGateway } from '../../src/config/load.ts';
import { operatorRoute, prefixOf, routeGet, routePage } from '../../src/gateway/route-answers.ts';
import { Routing } from '../../src/gateway/routing.ts';
import { isPointToPoint } from '../../src/gateway/settings.ts';
import { HostRoutes } from '../../src/kernel/host-routes.ts';
import type { HostChange } from '../../src/kernel/monitor.ts';
import type { FoundRoute } from '../../src/kernel/routes.ts';
import { parseAddress } from '../../src/packet/address.ts';
import type { CompiledTables } from '../../src/route/compile.ts';
import { formatPrefix, parsePrefix } from '../../src/packet/prefix.ts';
import { Fib } from '../../src/route/fib.ts';
import { gatewayOf } from '../support/config.ts';
import { testLog } from '../support/log.ts';

/** Two peers; behind each a /16, and a backup of the first's at the second. */
function twoPeers(): GatewayConfig {
  const file = (peer: number, lines: string) => ({
    file: `p${peer}.conf`,
    text: `dev tun\nsecret k${peer}.key\ncipher AES-256-CBC\nport ${2000 + peer}\nremote 192.0.2.${peer}
ifconfig 10.8.0.1 10.8.0.${10 + peer}\nroute 10.${peer}.0.0 255.255.0.0\n${lines}`,
  });
  return parseGateway([file(1, ''), file(2, 'route 10.1.0.0 255.255.0.0 vpn_gateway 10')]).config;
}

const INDEXES = new Map([
  ['p1', 0],
  ['p2', 1],
]);

function room(config = twoPeers(), indexes: ReadonlyMap<string, number> = INDEXES) {
  const sent: CompiledTables[] = [];
  const warned: string[] = [];
  const log = testLog(warned, 'warn');
  const subject = new Routing(config, { log, send: (tables) => sent.push(tables) });
  subject.configure(config, indexes);
  return { subject, sent, warned };
}

/** Peer index that the last tables send `address` to, -1 for none. */
function target(sent: readonly CompiledTables[], address: string, down: readonly number[] = []): number {
  const fib = new Fib(sent.at(-1)!.routes);
  const usable = new Uint8Array(8).fill(1);
  for (const peer of down) usable[peer] = 0;
  const candidate = fib.select(fib.lookup4(parseAddress(address), 0), usable);
  return candidate < 0 ? -1 : fib.peer(candidate);
}

const TUN = 9;
const ETH = 2;

/** Everything the kernel has: `PREFIX via GATEWAY` by the device, `PREFIX` by another interface. */
function hostWith(...lines: readonly string[]): HostChange {
  const routes = new HostRoutes();
  for (const line of lines) routes.add(hostRoute(line));
  return { host: { devices: [], addresses: [], names: new Map(), own: TUN, routes }, prefixes: undefined };
}

function hostRoute(line: string): FoundRoute {
  const [prefix, ...gateways] = line.split(' via ');
  const hops = gateways.map((gateway) => ({
    gateway: parseAddress(gateway),
    interfaceIndex: TUN,
    weight: 1,
  }));
  return {
    prefix: parsePrefix(prefix)!,
    tos: 0,
    table: 254,
    protocol: 12,
    metric: 0,
    nextHops: hops.length > 0 ? hops : [{ gateway: undefined, interfaceIndex: ETH, weight: 1 }],
  };
}

describe('the routing room', () => {
  it('sends what the config says, backups included', () => {
    const { sent } = room();
    expect(target(sent, '10.1.2.3')).toBe(0);
    expect(target(sent, '10.2.2.3')).toBe(1);
    expect(target(sent, '10.1.2.3', [0])).toBe(1);
    expect(target(sent, '10.8.0.12')).toBe(1);
    expect(target(sent, '10.3.0.1')).toBe(-1);
  });

  it('knows the positions in the list it compiled from', () => {
    const { subject, sent } = room();
    const { routes } = sent.at(-1)!;
    const fib = new Fib(routes);
    const address = parseAddress('10.2.9.9');
    const set = fib.lookup4(address, 0);
    const route = subject.compiledFrom[fib.position(set, routes.first[set])];
    expect(formatPrefix(route.prefix)).toBe('10.2.0.0/16');
    expect(route.source).toMatchObject({ kind: 'config', directive: 'route' });
  });

  it('takes routes of the operator at once, and lets them go', () => {
    const { subject, sent } = room();
    subject.add(operatorRoute({ prefix: '10.1.7.0/24', kind: 'peer', peer: 'p2' }));
    expect(target(sent, '10.1.7.1')).toBe(1);
    expect(subject.operatorPrefixes().map(formatPrefix)).toEqual(['10.1.7.0/24']);
    subject.delete(parsePrefix('10.1.7.0/24')!, undefined);
    expect(target(sent, '10.1.7.1')).toBe(0);
  });

  it('refuses a route to a peer that is not there, and the deletion of what the config says', () => {
    const { subject } = room();
    expect(() => subject.add(operatorRoute({ prefix: '10.7.0.0/16', kind: 'peer', peer: 'p3' }))).toThrow(
      expect.objectContaining({ code: 'PEER_UNKNOWN', fix: 'name one of: p1, p2' }) as Error,
    );
    expect(() => subject.delete(parsePrefix('10.2.0.0/16')!, undefined)).toThrow(
      expect.objectContaining({
        code: 'ROUTE_NOT_OURS',
        fix: 'remove the line and run `tsvpn reload`',
      }) as Error,
    );
    expect(() => subject.delete(parsePrefix('10.66.0.0/16')!, undefined)).toThrow(
      expect.objectContaining({ code: 'ROUTE_UNKNOWN' }) as Error,
    );
  });

  it('learns from the kernel, and forgets with it', () => {
    const { subject, sent } = room();
    const change = hostWith('10.77.0.0/16 via 10.8.0.12');
    subject.observe(change);
    expect(target(sent, '10.77.0.1')).toBe(1);
    expect(subject.table.at(parsePrefix('10.77.0.0/16')!)[0].source).toEqual({
      kind: 'learned',
      protocol: 'bird',
    });
    subject.observe(hostWith());
    expect(target(sent, '10.77.0.1')).toBe(-1);
  });

  it('follows single changes', () => {
    const { subject, sent } = room();
    const { host } = hostWith('10.77.0.0/16 via 10.8.0.12', '10.78.0.0/16 via 10.8.0.12');
    subject.observe({ host, prefixes: undefined });
    const compiled = sent.length;
    const change = (kind: 'added' | 'deleted', replaces: boolean, line: string) => {
      const route = hostRoute(line);
      expect(host.routes.apply({ kind, replaces, route })).toBe(true);
      subject.observe({ host, prefixes: [route.prefix] });
    };
    change('added', true, '10.77.0.0/16 via 10.8.0.11');
    change('deleted', false, '10.78.0.0/16 via 10.8.0.12');
    change('added', false, '10.79.0.0/16 via 10.8.0.12');
    expect(['10.77.0.1', '10.78.0.1', '10.79.0.1'].map((to) => target(sent, to))).toEqual([0, -1, 1]);
    expect(sent).toHaveLength(compiled + 3);
    change('added', false, '192.0.2.0/24');
    expect(sent).toHaveLength(compiled + 3);
  });

  it('makes an exception of what the host reaches otherwise inside of a network of a peer, learned or not', () => {
    const { subject, sent } = room();
    const local = () =>
      subject.table
        .list()
        .filter(({ kind }) => kind === 'local')
        .map(({ prefix }) => formatPrefix(prefix));
    const { host } = hostWith('10.1.5.0/24', '10.66.5.0/24', '10.1.0.0/16', '0.0.0.0/0');
    subject.observe({ host, prefixes: undefined });
    expect(local()).toEqual(['10.1.5.0/24']);
    const route = hostRoute('10.66.0.0/16 via 10.8.0.12');
    host.routes.apply({ kind: 'added', replaces: false, route });
    subject.observe({ host, prefixes: [route.prefix] });
    expect(local()).toEqual(['10.1.5.0/24', '10.66.5.0/24']);
    expect(target(sent, '10.66.5.1')).toBe(-1);
    expect(target(sent, '10.66.6.1')).toBe(1);
  });

  it('drops what was said of a peer that a new config has no more', () => {
    const { subject, sent } = room();
    subject.add(operatorRoute({ prefix: '10.9.0.0/16', kind: 'peer', peer: 'p2' }));
    const config = twoPeers();
    subject.configure({ ...config, peers: [config.peers[0]] }, new Map([['p1', 0]]));
    expect(target(sent, '10.9.0.1')).toBe(-1);
    expect(target(sent, '10.2.0.1')).toBe(-1);
    expect(target(sent, '10.1.0.1')).toBe(0);
  });

  it('says once that a learned route contradicts the config', () => {
    const { subject, warned } = room();
    const rival = hostWith('10.1.0.0/16 via 10.8.0.12');
    subject.observe(rival);
    subject.observe(rival);
    expect(warned).toHaveLength(1);
    expect(warned[0]).toContain("10.1.0.0/16 goes to peer 'p1' and to peer 'p2'");
  });
});

describe('answers about routes', () => {
  const { subject } = room();
  const states = (down: readonly string[]) =>
    routePage(subject.table.page(undefined, 100), undefined, (peer) => !down.includes(peer), null)
      .routes.filter(({ prefix }) => prefix === '10.1.0.0/16')
      .map(({ peer, metric, state }) => `${peer} ${metric} ${state}`);

  it.each([
    ['all are up', [], ['p1 0 active', 'p2 10 standby']],
    ['the first is down', ['p1'], ['p1 0 down', 'p2 10 active']],
    ['the backup is down', ['p2'], ['p1 0 active', 'p2 10 down']],
    ['both are down', ['p1', 'p2'], ['p1 0 down', 'p2 10 down']],
  ])('show who has the prefix when %s', (_row, down, expected) => expect(states(down)).toEqual(expected));

  it('say which route takes an address, and why', () => {
    const options = { isUp: (peer: string) => peer !== 'p1', fallthrough: false };
    expect(routeGet(subject.table, '10.1.2.3', options, null)).toMatchObject({
      decision: { peer: 'p2', metric: 10 },
      why: expect.stringContaining('peers of lower metric are down') as string,
      candidates: [{ standing: 'down' }, { standing: 'decides' }],
    });
    expect(routeGet(subject.table, '192.0.2.77', options, null)).toMatchObject({
      decision: null,
      candidates: [],
    });
    expect(() => routeGet(subject.table, '10.1.2', options, null)).toThrow(
      expect.objectContaining({ code: 'ADDRESS', exitCode: 2 }) as Error,
    );
  });

  it.each([
    ['10.1.2.3/16', 'did you mean 10.1.0.0/16?'],
    ['fd00::1/64', 'did you mean fd00::/64?'],
    ['10.1.0.0/33', 'write a network like 10.1.0.0/16 or fd00:1::/32'],
    ['siteB', 'write a network like 10.1.0.0/16 or fd00:1::/32'],
  ])('suggest what was meant by the prefix %s', (text, fix) => {
    expect(() => prefixOf(text)).toThrow(expect.objectContaining({ code: 'PREFIX', fix }) as Error);
  });
});

describe('a device is a link to one peer, as with stock,', () => {
  it('with one peer and nothing that stock does not know', () => {
    expect(
      isPointToPoint(
        gatewayOf(['route 10.1.0.0 255.255.0.0', 'client-nat snat 10.0.0.0 255.0.0.0 11.0.0.0']),
      ),
    ).toBe(true);
  });

  it.each([
    ['peer-route', ['setenv opt peer-route 10.1.0.0/16']],
    ['client-to-client', ['client-to-client']],
    ['a refusal', ['setenv opt blackhole 10.99.0.0/16']],
    ['allowed-source', ['setenv opt allowed-source 10.5.0.0/16']],
    ['nat', ['setenv opt nat snat 10.8.0.0/24 out eth1 masquerade']],
  ])('but not with %s', (_row, lines) => expect(isPointToPoint(gatewayOf(lines))).toBe(false));

  it('and not with two peers', () => expect(isPointToPoint(twoPeers())).toBe(false));
});
