/**
 * The two networks the tests run in.
 */
import { afterAll, beforeAll } from 'vitest';
import { createLab, type Lab, type Namespace } from './netns.ts';

/**
 *   gateway A ──────────────── gateway B
 *   192.0.2.1/24               192.0.2.2/24
 *   2001:db8::1/64             2001:db8::2/64
 */
export interface Link extends Lab {
  readonly a: Namespace;
  readonly b: Namespace;
}

export const OUTER = {
  a: { ipv4: '192.0.2.1', ipv6: '2001:db8::1' },
  b: { ipv4: '192.0.2.2', ipv6: '2001:db8::2' },
} as const;

export async function createLink(): Promise<Link> {
  const lab = createLab();
  const a = await lab.namespace('a');
  const b = await lab.namespace('b');
  await lab.connect(a, 'outer', b, 'outer');
  for (const [namespace, address] of [
    [a, OUTER.a],
    [b, OUTER.b],
  ] as const) {
    await namespace.ip('address', 'add', `${address.ipv4}/24`, 'dev', 'outer');
    await namespace.ip('address', 'add', `${address.ipv6}/64`, 'dev', 'outer', 'nodad');
  }
  return { ...lab, a, b };
}

/** A link for the tests of a file or block, with `prepare` done to it; they must not change what others rely on. */
export function useLink(prepare: (link: Link) => Promise<void> | void = () => undefined): Link {
  const link: Partial<Link> = {};
  beforeAll(async () => prepare(Object.assign(link, await createLink())));
  afterAll(() => link.destroy?.());
  return link as Link;
}

/**
 * Two sites and an internet between them:
 *
 *   host A ── gateway A ── router ── gateway B ── host B
 *   10.0.1.2  10.0.1.1               10.1.1.1   10.1.1.2
 *             192.0.2.2   192.0.2.1
 *                         198.51.100.1  198.51.100.2
 *   10.0.0.0/16                           10.1.0.0/16
 */
export interface FieldCase extends Lab {
  readonly hostA: Namespace;
  readonly gatewayA: Namespace;
  readonly router: Namespace;
  readonly gatewayB: Namespace;
  readonly hostB: Namespace;
}

export const FIELD = {
  hostA: '10.0.1.2',
  gatewayAInside: '10.0.1.1',
  gatewayA: '192.0.2.2',
  gatewayB: '198.51.100.2',
  gatewayBInside: '10.1.1.1',
  hostB: '10.1.1.2',
  tunnelA: '10.254.0.1',
  tunnelB: '10.254.0.2',
} as const;

export function createFieldCase(): Promise<FieldCase> {
  return createSites(
    { host: FIELD.hostA, gateway: FIELD.gatewayAInside },
    { host: FIELD.hostB, gateway: FIELD.gatewayBInside },
  );
}

/** Addresses in a /16 of the site's own. */
export interface SiteAddresses {
  readonly host: string;
  readonly gateway: string;
}

/** The two sites of the field case with these addresses inside, which may be the same at both. */
export async function createSites(a: SiteAddresses, b: SiteAddresses): Promise<FieldCase> {
  const lab = createLab();
  const hostA = await lab.namespace('host-a');
  const gatewayA = await lab.namespace('gw-a');
  const router = await lab.namespace('router');
  const gatewayB = await lab.namespace('gw-b');
  const hostB = await lab.namespace('host-b');

  await lab.connect(hostA, 'lan', gatewayA, 'lan');
  await lab.connect(gatewayA, 'wan', router, 'site-a');
  await lab.connect(router, 'site-b', gatewayB, 'wan');
  await lab.connect(gatewayB, 'lan', hostB, 'lan');

  const addresses: readonly [Namespace, string, string][] = [
    [hostA, 'lan', `${a.host}/16`],
    [gatewayA, 'lan', `${a.gateway}/16`],
    [gatewayA, 'wan', `${FIELD.gatewayA}/24`],
    [router, 'site-a', '192.0.2.1/24'],
    [router, 'site-b', '198.51.100.1/24'],
    [gatewayB, 'wan', `${FIELD.gatewayB}/24`],
    [gatewayB, 'lan', `${b.gateway}/16`],
    [hostB, 'lan', `${b.host}/16`],
  ];
  for (const [namespace, device, address] of addresses) {
    await namespace.ip('address', 'add', address, 'dev', device);
  }
  const defaultRoutes: readonly [Namespace, string][] = [
    [hostA, a.gateway],
    [gatewayA, '192.0.2.1'],
    [gatewayB, '198.51.100.1'],
    [hostB, b.gateway],
  ];
  for (const [namespace, via] of defaultRoutes) await namespace.ip('route', 'add', 'default', 'via', via);
  for (const namespace of [gatewayA, router, gatewayB]) {
    await namespace.sysctl('net/ipv4/ip_forward', 1);
  }
  return { ...lab, hostA, gatewayA, router, gatewayB, hostB };
}
