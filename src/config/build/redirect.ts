/** `redirect-gateway` and `redirect-private`: several lines add up. */
import type { Draft, DraftRedirect } from '../draft.ts';
import { warn } from '../findings.ts';
import type { Findings } from '../findings.ts';
import type { PeerRoute, RedirectConfig } from '../model.ts';
import type { DeviceType } from '../../packet/ethernet.ts';
import { everything } from '../../packet/prefix.ts';
import { defaultGateway6 } from './routes.ts';

/** A tap device leads to a network, of which one address has to be the way out. Stock leaves such routes out, too. */
function hasGateway(draft: Draft, family: 'IPv4' | 'IPv6', gateway: string | undefined): boolean {
  if (gateway !== undefined) return true;
  const [{ value, where }] = draft.redirects;
  warn(
    draft.findings,
    where,
    'CONFIG_ROUTE_GATEWAY',
    `${value.name} has no effect on ${family}: it has no gateway`,
    {
      why: 'a tap device leads to a network, not to one peer',
      fix: family === 'IPv4' ? 'route-gateway ADDRESS' : 'route-ipv6-gateway ADDRESS',
    },
  );
  return false;
}

/** What the lines of one peer come to; undefined without any. `vpnGateway` is the IPv4 gateway. */
export function resolveRedirect(
  draft: Draft,
  vpnGateway: string | undefined,
  type: DeviceType,
): RedirectConfig | undefined {
  const lines = draft.redirects.map(({ value }) => value);
  if (lines.length === 0) return undefined;
  const has = (flag: DraftRedirect['flags'][number]) => lines.some(({ flags }) => flags.includes(flag));
  const mode = lines.some(({ name }) => name === 'redirect-gateway') ? 'gateway' : 'private';
  const gateway6 = type === 'tap' ? defaultGateway6(draft) : undefined;
  const ipv4 = !has('!ipv4') && (type === 'tun' || hasGateway(draft, 'IPv4', vpnGateway));
  const ipv6 = has('ipv6') && (type === 'tun' || hasGateway(draft, 'IPv6', gateway6));
  return {
    ipv4: ipv4 ? mode : 'off',
    ipv6,
    def1: has('def1'),
    local: has('local'),
    blockLocal: has('block-local'),
    gateway: vpnGateway,
    gateway6,
    where: draft.redirects[0].where,
  };
}

/** Everything lies behind the peer then; the kernel's routes are made by kernel/redirect.ts. */
export function redirectRoutes(redirect: RedirectConfig | undefined): PeerRoute[] {
  if (redirect === undefined) return [];
  const prefixes = [
    ...(redirect.ipv4 === 'gateway' ? [everything(4)] : []),
    ...(redirect.ipv6 ? [everything(6)] : []),
  ];
  const directive = redirect.ipv4 === 'private' ? 'redirect-private' : 'redirect-gateway';
  return prefixes.map((prefix) => {
    return { prefix, metric: 0, kernel: false, directive, where: redirect.where };
  });
}

/** One host has one default route: that of the first peer that asks. */
export function joinRedirects(
  redirects: readonly RedirectConfig[],
  findings: Findings,
): RedirectConfig | undefined {
  for (const { where } of redirects.slice(1)) {
    warn(findings, where, 'CONFIG_CONTRADICTION', 'a second peer with a redirected gateway', {
      why: 'the kernel has one default route, and sends it to the first',
      fix: 'remove the line of one of them',
    });
  }
  return redirects.at(0);
}
