/**
 * Recursive routing: datagrams to a peer which the kernel hands back to us, because a route leads to the peer's outer address
 * through the tunnel. By the tunnel of another peer that is a tunnel in a tunnel, and right. When the way comes back to where it
 * began, every packet would go round until it is too long: the data plane drops such packets, and here is said which and why.
 * What the kernel does with an address is asked of itself, after every change of routes and peers.
 */
import { formatPosition } from '../errors.ts';
import { OsError } from '../ffi/libc.ts';
import { openEgressLookup, type EgressLookup } from '../kernel/egress.ts';
import { addressBytes } from '../packet/address.ts';
import { formatPrefix } from '../packet/prefix.ts';
import { explain } from '../route/explain.ts';
import type { Route } from '../route/route.ts';
import type { PeerSession } from './peer-session.ts';
import { linkedPeer, type Room } from './room.ts';

/** Datagrams to `peer` at `address` go into the tunnel of `by`. */
export interface Detour {
  readonly peer: string;
  readonly address: string;
  readonly by: string;
  /** Undefined when the device is a link to one peer. */
  readonly route: Route | undefined;
}

export class RecursionWatch {
  /** Circles told of and not gone since, as text. */
  private told = new Set<string>();
  private dropped = '';

  /** Finds the circles there are now, tells of the new ones, and has their packets dropped. */
  check(room: Room): void {
    try {
      this.follow(room, findCircles(detours(room)));
    } catch (error) {
      // The kernel could not be asked; it is at the next change.
      if (!(error instanceof OsError)) throw error;
      room.log.warn(
        { code: error.code },
        `cannot ask the kernel for the ways to the peers: ${error.message}`,
      );
    }
  }

  private follow({ peers, plane, log }: Room, circles: readonly (readonly Detour[])[]): void {
    const told = new Set(circles.map(circleText));
    for (const text of told) {
      if (!this.told.has(text)) log.warn({ code: 'ROUTE_RECURSIVE' }, text);
    }
    this.told = told;
    const names = new Set(circles.flat().map(({ peer }) => peer));
    const indexes = peers.living.filter(({ name }) => names.has(name)).map(({ index }) => index);
    if (indexes.join() === this.dropped) return;
    this.dropped = indexes.join();
    plane.send({ kind: 'recursive', peers: indexes });
  }
}

/** The kernel is asked only about addresses that the table leads to a peer. */
function detours(room: Room): Detour[] {
  if (room.config.device.type === 'tap') return [];
  let lookup: EgressLookup | undefined;
  try {
    return room.peers.living.flatMap((session) => {
      const bytes = addressBytes(session.outerAddress ?? '');
      const { transport } = session.config;
      if (bytes === undefined || transport.allowRecursiveRouting || transport.bindDevice !== undefined)
        return [];
      const ways = waysTo(room, session, bytes);
      if (ways.length === 0) return [];
      lookup ??= openEgressLookup();
      return lookup.find(bytes, transport.mark)?.device === room.tun.name ? ways : [];
    });
  } finally {
    lookup?.close();
  }
}

/** By the tunnels that packets to the peer's outer address would take; several share them. */
function waysTo(room: Room, { name, outerAddress }: PeerSession, bytes: Uint8Array): Detour[] {
  const { routing, peers, config } = room;
  const detour = { peer: name, address: outerAddress! };
  const linked = linkedPeer(room);
  if (linked !== null) return [{ ...detour, by: linked, route: undefined }];
  const options = { isUp: (peer: string) => peers.isUsable(peer), fallthrough: config.routeFallthrough };
  return explain(routing.table, bytes, options).prefixes.flatMap(({ routes }) =>
    routes.flatMap(({ route, standing }) =>
      route.kind === 'peer' && (standing === 'decides' || standing === 'shares')
        ? [{ ...detour, by: route.peer!, route }]
        : [],
    ),
  );
}

/** Each circle once, from the peer whose name comes first. Pure. */
export function findCircles(detours: readonly Detour[]): (readonly Detour[])[] {
  const circles: (readonly Detour[])[] = [];
  const walk = (way: readonly Detour[]): void => {
    const { by } = way.at(-1)!;
    if (by === way[0].peer) circles.push(way);
    // A circle that this peer is the first of is found from there.
    else if (by > way[0].peer && !way.some(({ peer }) => peer === by)) {
      for (const next of detours) if (next.peer === by) walk([...way, next]);
    }
  };
  for (const first of detours) walk([first]);
  return circles;
}

export function circleText(circle: readonly Detour[]): string {
  const ways = circle.map(({ peer, address, by, route }) => {
    const tunnel = peer === by ? 'its own tunnel' : `the tunnel of ${by}`;
    return `those to ${peer} at ${address} go into ${tunnel}${route === undefined ? '' : ` by ${routeName(route)}`}`;
  });
  const addresses = circle.map(({ address }) => address).join(' or ');
  return (
    `recursive routing: datagrams to peers would go round for ever, and are dropped: ${ways.join('; ')}; ` +
    `give ${addresses} a route of its own outside of the tunnels, or name smaller networks`
  );
}

function routeName({ prefix, source }: Route): string {
  const from = source.kind === 'config' ? ` (${formatPosition(source.where)})` : '';
  const learned = source.kind === 'learned' ? ` (from ${source.protocol})` : '';
  return `the route to ${formatPrefix(prefix)}${from}${learned}`;
}
