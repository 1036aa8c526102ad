/**
 * Redirected gateways next to stock, in a site with a default route:
 *
 *   host A ── gateway A ── router ── gateway B
 *             192.0.2.2   │  198.51.100.2
 *             2001:db8:a::2   2001:db8:b::2
 *                 somebody, 203.0.113.5: an operator at home
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  COMPLETED,
  startGateway,
  tsvpn,
  writeConfig,
  writeKey,
  type Implementation,
} from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { type Daemon, PATIENCE_MS } from '../support/process.ts';
import { createFieldCase, FIELD, type FieldCase } from '../support/topology.ts';
import { expectPing, expectPingWithin, pings } from '../support/traffic.ts';

const OPERATOR = '203.0.113.5';
const REMOTE = { ipv4: FIELD.gatewayB, ipv6: '2001:db8:b::2' } as const;

describe('redirect-gateway', () => {
  let net: FieldCase;
  let key: string;
  let before: string;
  let running: Daemon[] = [];

  beforeAll(async () => {
    net = await createFieldCase();
    key = writeKey(net, 'static.key', staticKeyText(KEY));
    const { gatewayA, gatewayB, router } = net;
    await router.ip('address', 'add', `${OPERATOR}/32`, 'dev', 'lo');
    for (const [namespace, device, address] of [
      [gatewayA, 'wan', '2001:db8:a::2/64'],
      [router, 'site-a', '2001:db8:a::1/64'],
      [router, 'site-b', '2001:db8:b::1/64'],
      [gatewayB, 'wan', '2001:db8:b::2/64'],
    ] as const) {
      await namespace.ip('address', 'add', address, 'dev', device, 'nodad');
    }
    await router.sysctl('net/ipv6/conf/all/forwarding', 1);
    await gatewayA.ip('-6', 'route', 'add', 'default', 'via', '2001:db8:a::1', 'dev', 'wan');
    await gatewayB.ip('-6', 'route', 'add', 'default', 'via', '2001:db8:b::1', 'dev', 'wan');
    before = await gatewayA.snapshot();
  });
  afterEach(async () => {
    await Promise.all(running.map((daemon) => daemon.stop()));
    running = [];
    expect(await net.gatewayA.snapshot()).toBe(before);
  });
  afterAll(() => net.destroy());

  function config(lines: readonly string[]): string {
    const common = [`secret ${key}`, 'cipher AES-256-CBC', 'auth SHA256', 'keepalive 1 10', 'verb 3'];
    return ['dev tun0', ...common, ...lines].join('\n');
  }
  function start(implementation: Implementation, lines: readonly string[]): Daemon {
    const text = config(['ifconfig 10.4.0.1 10.4.0.2', ...lines]);
    const daemon = startGateway(net, net.gatewayA, { implementation, name: 'site', config: text });
    running.push(daemon);
    return daemon;
  }
  function startPeer(...lines: string[]): void {
    const text = config(['ifconfig 10.4.0.2 10.4.0.1', ...lines]);
    running.push(startGateway(net, net.gatewayB, { implementation: 'openvpn', name: 'peer', config: text }));
  }
  async function routes(): Promise<string[]> {
    const text = `${await net.gatewayA.ip('route')}${await net.gatewayA.ip('-6', 'route')}`;
    const lines = text.split('\n').map((line) => line.replace(' proto 86', '').trimEnd());
    // The address the kernel makes up for the device differs from start to start.
    return lines.filter((line) => line !== '' && !line.startsWith('fe80'));
  }
  /** The routes of an implementation when it is through with them. */
  async function routesOf(implementation: Implementation, lines: readonly string[]): Promise<string[]> {
    const daemon = start(implementation, [
      'script-security 2',
      'route-up "/bin/echo routes are made"',
      ...lines,
    ]);
    await daemon.waitFor(/\nroutes are made\n/);
    const found = await routes();
    expect(await daemon.stop()).toBe(0);
    expect(await net.gatewayA.snapshot()).toBe(before);
    return found;
  }

  const IPV6 = 'ifconfig-ipv6 fd00:4::1/64 fd00:4::2';
  const cases: readonly (readonly string[])[] = [
    ['redirect-gateway'],
    ['redirect-gateway def1'],
    ['redirect-gateway local def1'],
    ['redirect-gateway autolocal def1'],
    ['redirect-gateway def1 bypass-dhcp bypass-dns'],
    ['redirect-gateway def1 block-local'],
    ['redirect-gateway block-local'],
    ['redirect-private def1'],
    ['redirect-gateway def1 ipv6', IPV6],
    ['redirect-gateway ipv6 !ipv4', IPV6],
    ['redirect-gateway def1', 'route 10.99.0.0 255.255.0.0', 'route 10.98.0.0 255.255.0.0 net_gateway'],
    ['route remote_host 255.255.255.255 net_gateway', 'route 0.0.0.0 128.0.0.0 vpn_gateway'],
    ['route localhost 255.255.255.255 net_gateway 5'],
    ['redirect-gateway def1', 'route-noexec'],
  ];
  for (const remote of [REMOTE.ipv4, REMOTE.ipv6]) {
    it.each(cases.map((lines) => [lines.join(', '), lines] as const))(
      `makes the routes of OpenVPN, with remote ${remote}: %s`,
      async (_, lines) => {
        const all = [`remote ${remote}`, ...lines];
        const stock = await routesOf('openvpn', all);
        expect(await routesOf('tsvpn', all)).toEqual(stock);
      },
    );
  }

  it('keeps a default route with a metric, where OpenVPN would lose the metric', async () => {
    await net.gatewayA.ip('route', 'replace', 'default', 'via', '192.0.2.1', 'metric', '100');
    await net.gatewayA.ip('route', 'del', 'default', 'metric', '0');
    const daemon = start('tsvpn', [`remote ${REMOTE.ipv4}`, 'redirect-gateway']);
    await expect.poll(routes).toContain('default via 10.4.0.2 dev tun0');
    expect(await routes()).toContain('default via 192.0.2.1 dev wan metric 100');
    await daemon.stop();
    expect(await routes()).toContain('default via 192.0.2.1 dev wan metric 100');
    await net.gatewayA.ip('route', 'replace', 'default', 'via', '192.0.2.1');
    await net.gatewayA.ip('route', 'del', 'default', 'metric', '100');
  });

  it.each(['redirect-gateway def1', 'redirect-gateway'])(
    '%s: the tunnel works, and an operator outside keeps the connection to the old address',
    async (line) => {
      startPeer();
      expect(await pings(net.router, FIELD.gatewayA)).toBe(true);
      const daemon = start('tsvpn', [`remote ${REMOTE.ipv4}`, line]);
      await daemon.waitFor(COMPLETED);
      await expectPing(net.gatewayA, '10.4.0.2');
      await net.router.mustRun(['ping', '-c1', '-W2', '-I', OPERATOR, FIELD.gatewayA]);
      // What begins here goes into the tunnel.
      expect(await net.gatewayA.ip('route', 'get', OPERATOR)).toContain('dev tun0');
      expect(await net.gatewayA.ip('route', 'get', OPERATOR, 'from', FIELD.gatewayA)).toContain('dev wan');
      // Longer routes hold for old addresses as well.
      expect(await net.gatewayA.ip('route', 'get', '10.0.1.2', 'from', FIELD.gatewayA)).toContain('dev lan');
    },
  );

  it('IPv6 as well', async () => {
    startPeer('proto udp6', 'ifconfig-ipv6 fd00:4::2/64 fd00:4::1');
    const daemon = start('tsvpn', [
      `remote ${REMOTE.ipv6}`,
      'proto udp6',
      IPV6,
      'redirect-gateway def1 ipv6',
    ]);
    await daemon.waitFor(COMPLETED);
    await expectPing(net.gatewayA, 'fd00:4::2');
    await net.router.mustRun(['ping', '-c1', '-W2', '-I', '2001:db8:b::1', '2001:db8:a::2']);
    expect(await net.gatewayA.ip('route', 'get', '2001:db8:c::1')).toContain('dev tun0');
  });

  it('a listener gets a route to the peer when it is heard, where OpenVPN would send packets to it into the tunnel', async () => {
    const daemon = start('tsvpn', ['redirect-gateway def1']);
    await daemon.waitFor(/link remote/);
    startPeer(`remote ${FIELD.gatewayA}`);
    await daemon.waitFor(COMPLETED);
    await expectPingWithin(net.gatewayA, '10.4.0.2', 5000);
    expect(await routes()).toContain(`${REMOTE.ipv4} via 192.0.2.1 dev wan`);
  });

  it('survives restarts', async () => {
    startPeer();
    const daemon = start('tsvpn', [`remote ${REMOTE.ipv4}`, 'redirect-gateway']);
    await daemon.waitFor(COMPLETED);
    const during = await routes();
    daemon.signal('SIGUSR1');
    await daemon.waitFor(COMPLETED, PATIENCE_MS, 2);
    expect(await routes()).toEqual(during);
  });

  it('comes and goes with a reload', async () => {
    const lines = [`remote ${REMOTE.ipv4}`, 'ifconfig 10.4.0.1 10.4.0.2'];
    const daemon = start('tsvpn', [...lines, 'redirect-gateway']);
    await expect.poll(routes).toContain('default via 10.4.0.2 dev tun0');
    writeConfig(net, 'site', config(lines));
    daemon.signal('SIGHUP');
    await expect.poll(routes).toContain('default via 192.0.2.1 dev wan');
    writeConfig(net, 'site', config([...lines, 'redirect-gateway def1']));
    daemon.signal('SIGHUP');
    await expect.poll(routes).toContain('128.0.0.0/1 via 10.4.0.2 dev tun0');
  });

  it('follows a default gateway that moves', async () => {
    const daemon = start('tsvpn', [`remote ${REMOTE.ipv4}`, 'redirect-gateway def1']);
    await expect.poll(routes).toContain(`${REMOTE.ipv4} via 192.0.2.1 dev wan`);
    await net.gatewayA.ip('route', 'replace', 'default', 'via', '192.0.2.9');
    await expect.poll(routes).toContain(`${REMOTE.ipv4} via 192.0.2.9 dev wan`);
    await daemon.stop();
    await net.gatewayA.ip('route', 'replace', 'default', 'via', '192.0.2.1');
  });

  it.each(['SIGKILL'] as const)('after %s, `tsvpn cleanup` puts the default route back', async (signal) => {
    const daemon = start('tsvpn', [`remote ${REMOTE.ipv4}`, 'redirect-gateway']);
    await expect.poll(routes).toContain('default via 10.4.0.2 dev tun0');
    await daemon.stop(signal);
    expect(await routes()).not.toContain('default via 192.0.2.1 dev wan');
    expect((await tsvpn(net, net.gatewayA, 'cleanup')).code).toBe(0);
    expect(await net.gatewayA.snapshot()).toBe(before);
  });
});

/** Both ends read the same key. */
const KEY = Uint8Array.from({ length: 256 }, (_, i) => (i * 37 + 11) & 0xff);
