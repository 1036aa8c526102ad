/** Networks behind peers: each belongs to one peer, unless the metric says which is the backup. */
import { formatPosition } from '../../errors.ts';
import type { SourcePosition } from '../../errors.ts';
import { addressBytes } from '../../packet/address.ts';
import { formatPrefix, prefixContains } from '../../packet/prefix.ts';
import { warn } from '../findings.ts';
import type { Findings } from '../findings.ts';
import type { PeerRoute, RefusalRoute } from '../model.ts';
import { refusePair } from './pair.ts';
import type { BuiltPeer } from './pair.ts';

interface Claim {
  readonly route: Pick<PeerRoute, 'prefix' | 'metric' | 'where'> & { readonly directive: string };
  /** The peer's name; undefined for a refusal. */
  readonly peer: string | undefined;
}

function claims(peers: readonly BuiltPeer[], refusals: readonly RefusalRoute[]): Claim[] {
  return [
    ...peers.flatMap(({ config }) => config.peerRoutes.map((route) => ({ route, peer: config.name }))),
    ...refusals.map((route) => ({ route: { ...route, directive: route.kind }, peer: undefined })),
  ];
}

/** An address of the peer itself; two peers with the same one are a fault of their addresses. */
function isAddress({ route: { directive, prefix } }: Claim): boolean {
  const host = prefix.length === prefix.bytes.length * 8;
  return directive === 'peer-address' || (directive.startsWith('ifconfig') && host);
}

function samePosition(a: SourcePosition, b: SourcePosition): boolean {
  return formatPosition(a) === formatPosition(b);
}

function compare(first: Claim, second: Claim, findings: Findings): void {
  const { prefix, where, metric, directive } = second.route;
  const network = formatPrefix(prefix);
  const lines = [first.route.directive, directive];
  if (first.peer === second.peer) {
    // Warned about already when both are `route` lines (build/routes.ts).
    const written = lines.every((each) => each === 'peer-route') || second.peer === undefined;
    if (!written || samePosition(first.route.where, where)) return;
    warn(findings, where, 'CONFIG_ROUTE_TWICE', `the route to ${network} is there twice`, {
      fix: 'remove this line',
    });
    return;
  }
  if (isAddress(first) && isAddress(second)) return;
  const owners = [first.peer ?? first.route.directive, second.peer ?? directive];
  refusePair(findings, first.route.where, where, {
    code: 'CONFIG_SAME_PREFIX',
    what: `${network} leads to both ${owners.join(' and ')}`,
    why: `both routes have metric ${metric}`,
    fix: `give the one that should only be the backup a higher metric: peer-route ${network} metric ${metric + 10}`,
  });
}

/** Records networks that two peers, or a peer and a refusal, claim with the same metric. */
export function checkPrefixes(
  peers: readonly BuiltPeer[],
  refusals: readonly RefusalRoute[],
  findings: Findings,
): void {
  const known = new Map<string, Claim>();
  for (const claim of claims(peers, refusals)) {
    const key = `${formatPrefix(claim.route.prefix)} ${claim.route.metric}`;
    const first = known.get(key);
    if (first === undefined) known.set(key, claim);
    else compare(first, claim, findings);
  }
}

/** Warns about networks that contain the outer address of a peer. */
export function checkLoops(peers: readonly BuiltPeer[], findings: Findings): void {
  for (const { config: peer } of peers) {
    for (const { prefix, directive, where, kernel } of peer.peerRoutes) {
      if (!kernel) continue;
      for (const { config: other } of peers) {
        // `route` lines over the peer's own address are warned about in build/routes.ts.
        const reported = other === peer && directive !== 'peer-route';
        if (reported || other.transport.allowRecursiveRouting) continue;
        for (const { host } of other.transport.remotes) {
          const address = addressBytes(host);
          if (address === undefined || !prefixContains(prefix, address)) continue;
          const what = `the route to ${formatPrefix(prefix)} covers the outer address ${host} of ${other.name}`;
          warn(findings, where, 'CONFIG_ROUTE_LOOP', what, {
            why: `packets to ${other.name} would go into the tunnel of ${peer.name}`,
            fix: `give ${host} a route of its own outside of the tunnel, or name a smaller network`,
          });
        }
      }
    }
  }
}
