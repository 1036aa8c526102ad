/** `redirect-gateway` and `redirect-private`: several lines add up. */
import type { Draft, DraftRedirect } from '../draft.ts';
import { warn } from '../findings.ts';
import type { Findings } from '../findings.ts';
import type { PeerRoute, RedirectConfig } from '../model.ts';
import type { Prefix } from '../../packet/prefix.ts';

/** What the lines of one peer come to; undefined without any. */
export function resolveRedirect(draft: Draft, gateway: string | undefined): RedirectConfig | undefined {
  const lines = draft.redirects.map(({ value }) => value);
  if (lines.length === 0) return undefined;
  const has = (flag: DraftRedirect['flags'][number]) => lines.some(({ flags }) => flags.includes(flag));
  const mode = lines.some(({ name }) => name === 'redirect-gateway') ? 'gateway' : 'private';
  return {
    ipv4: has('!ipv4') ? 'off' : mode,
    ipv6: has('ipv6'),
    def1: has('def1'),
    local: has('local'),
    blockLocal: has('block-local'),
    gateway,
    where: draft.redirects[0].where,
  };
}

/** Everything lies behind the peer then; the kernel's routes are made by kernel/redirect.ts. */
export function redirectRoutes(redirect: RedirectConfig | undefined): PeerRoute[] {
  if (redirect === undefined) return [];
  const everything: Prefix[] = [
    ...(redirect.ipv4 === 'gateway' ? [{ bytes: new Uint8Array(4), length: 0 }] : []),
    ...(redirect.ipv6 ? [{ bytes: new Uint8Array(16), length: 0 }] : []),
  ];
  const directive = redirect.ipv4 === 'private' ? 'redirect-private' : 'redirect-gateway';
  return everything.map((prefix) => {
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
