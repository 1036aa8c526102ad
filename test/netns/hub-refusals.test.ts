/** Check 30: what ping says about destinations that a hub does not carry packets to, in its LAN, at a peer and on itself. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMPLETED } from '../support/gateway.ts';
import type { Namespace } from '../support/netns.ts';
import { createStar, HUB, hubDrops, startHub, startSpoke, type Star } from '../support/star.ts';
import { expectPing } from '../support/traffic.ts';

const LAN = { gateway: '172.16.0.1', host: '172.16.0.2', gateway6: 'fd00:16::1', host6: 'fd00:16::2' };

describe('ping', () => {
  let star: Star;
  let lan: Namespace;
  beforeAll(async () => {
    star = await createStar(2);
    lan = await star.namespace('lan');
    await star.connect(star.hub, 'lan', lan, 'lan');
    await star.hub.ip('address', 'add', `${LAN.gateway}/24`, 'dev', 'lan');
    await star.hub.ip('address', 'add', `${LAN.gateway6}/64`, 'dev', 'lan');
    await lan.ip('address', 'add', `${LAN.host}/24`, 'dev', 'lan');
    await lan.ip('address', 'add', `${LAN.host6}/64`, 'dev', 'lan');
    await lan.ip('route', 'add', 'default', 'via', LAN.gateway);
    await lan.ip('-6', 'route', 'add', 'default', 'via', LAN.gateway6);
    await star.hub.sysctl('net/ipv4/ip_forward', 1);
    await star.hub.sysctl('net/ipv6/conf/all/forwarding', 1);
    const refusals = ['blackhole', 'unreachable', 'prohibit'].flatMap((kind, i) => [
      `${kind} 10.9${i}.0.0/16`,
      `${kind} fd00:9${i}::/32`,
    ]);
    const hub = startHub(star, { lines: ['client-to-client', ...refusals] });
    await hub.waitFor(/UDPv4 link/);
    const [spoke] = star.spokes;
    // The second peer never calls.
    startSpoke(star, spoke, 'openvpn', { lines: ['route 172.16.0.0 255.255.0.0'] });
    await hub.waitFor(COMPLETED);
    await Promise.all([expectPing(lan, spoke.inside), expectPing(lan, spoke.inside6)]);
  });
  afterAll(() => star.destroy());

  const senders = [
    ['a host in the LAN', () => lan, LAN.gateway],
    ['a peer', () => star.spokes[0].namespace, HUB.address],
    ['the hub itself', () => star.hub, HUB.address],
  ] as const;
  const refusals = [
    ['unreachable, IPv4', '10.91.0.1', /Destination Host Unreachable/, 'unreachable'],
    ['prohibit, IPv4', '10.92.0.1', /Packet filtered/, 'prohibit'],
    ['unreachable, IPv6', 'fd00:91::1', /Destination unreachable: Address unreachable/, 'unreachable'],
    ['prohibit, IPv6', 'fd00:92::1', /Destination unreachable: Administratively prohibited/, 'prohibit'],
  ] as const;
  for (const [sender, from] of senders) {
    it.each(refusals)(`of ${sender} is told: %s`, async (_title, to, text, reason) => {
      const before = await hubDrops(star);
      const { code, stdout } = await ping(from(), to);
      expect(stdout).toMatch(text);
      expect(stdout).toMatch(/\+1 errors/);
      expect(code).toBe(1);
      expect((await hubDrops(star))[reason]).toBe((before[reason] ?? 0) + 1);
    });

    it.each(['10.90.0.1', 'fd00:90::1'])(`of ${sender} hears nothing of a blackhole: %s`, async (to) => {
      const before = await hubDrops(star);
      const { stdout } = await ping(from(), to);
      expect(stdout).toMatch(/1 packets transmitted, 0 received, 100% packet loss/);
      expect((await hubDrops(star)).blackhole).toBe((before.blackhole ?? 0) + 1);
    });
  }

  it.each([
    ['a host in the LAN', () => lan],
    ['the hub itself', () => star.hub],
  ] as const)('of %s is told that no peer has an address of the tunnel network', async (_sender, from) => {
    expect((await ping(from(), '10.8.0.200')).stdout).toMatch(/Destination Net Unreachable/);
    expect((await ping(from(), 'fd00:8::200')).stdout).toMatch(/Destination unreachable: No route/);
  });

  it.each([
    ['unreachable', '10.91.0.1', 'EHOSTUNREACH'],
    ['prohibit', '10.92.0.1', 'EHOSTUNREACH'],
    ['no route', '10.8.0.200', 'ENETUNREACH'],
    ['unreachable, IPv6', 'fd00:91::1', 'EHOSTUNREACH'],
    ['prohibit, IPv6', 'fd00:92::1', 'EACCES'],
    ['no route, IPv6', 'fd00:8::200', 'ENETUNREACH'],
  ])('and a TCP connection fails at once: %s', async (_title, host, code) => {
    expect(await connectError(lan, host)).toBe(code);
  });

  it("of a peer is told by the hub's kernel what the table does not know", async () => {
    const { namespace } = star.spokes[0];
    expect((await ping(namespace, '10.200.0.1')).stdout).toMatch(
      /From 10\.8\.0\.1 .*Destination Net Unreachable/,
    );
    expect((await ping(namespace, 'fd00:200::1')).stdout).toMatch(
      /From fd00:8::1 .*Destination unreachable: No route/,
    );
  });
});

function ping(from: Namespace, to: string) {
  return from.run(['ping', '-n', '-c', '1', '-W', '1', to]);
}

/** The code of the error with which a TCP connection to the host fails. */
async function connectError(from: Namespace, host: string): Promise<string> {
  const script = `require('net').connect(9, '${host}').on('error', ({ code }) => console.log(code))`;
  return (await from.mustRun([process.execPath, '-e', script])).trim();
}
