/**
 * Packets and bytes that each route of a table has taken. The data plane counts by the position of the route in the list that
 * the table was compiled from; the counters go over to the next table with their routes.
 */
import type { Route } from './route.ts';
import { comparePrefixes, isLike } from './order.ts';

const PACKETS = 0;
const BYTES = 1;
/** Counters of a route. */
export const HIT_COUNTERS = 2;
/**
 * So many packets are noted before they are counted, all at once: the counters of many routes are in no near cache, and the
 * processor waits for many of them together no longer than for one.
 */
const NOTES = 256;

export class RouteHits {
  private readonly counters: Float64Array;
  /** Of each packet noted: the position of its route, packets (of a super-packet) and bytes. */
  private readonly route = new Int32Array(NOTES);
  private readonly packets = new Int32Array(NOTES);
  private readonly bytes = new Int32Array(NOTES);
  private noted = 0;

  /** For so many routes. */
  constructor(routes: number) {
    this.counters = new Float64Array(routes * HIT_COUNTERS);
  }

  add(route: number, packets: number, bytes: number): void {
    const note = this.noted++;
    this.route[note] = route;
    this.packets[note] = packets;
    this.bytes[note] = bytes;
    if (this.noted === NOTES) this.count();
  }

  /** Of routes `first` to `end` - 1: packets, bytes, packets, bytes... */
  slice(first: number, end: number): Float64Array {
    this.count();
    return this.counters.slice(first * HIT_COUNTERS, end * HIT_COUNTERS);
  }

  /** Those of the next table. `former`: where each of its routes stood in this one, or -1. */
  moved(former: Int32Array): RouteHits {
    this.count();
    const next = new RouteHits(former.length);
    for (let route = 0; route < former.length; route++) {
      if (former[route] < 0) continue;
      const from = former[route] * HIT_COUNTERS;
      next.counters[route * HIT_COUNTERS + PACKETS] = this.counters[from + PACKETS];
      next.counters[route * HIT_COUNTERS + BYTES] = this.counters[from + BYTES];
    }
    return next;
  }

  private count(): void {
    const { counters, route, packets, bytes } = this;
    for (let note = 0; note < this.noted; note++) {
      const at = route[note] * HIT_COUNTERS;
      counters[at + PACKETS] += packets[note];
      counters[at + BYTES] += bytes[note];
    }
    this.noted = 0;
  }
}

/** Where each route of a list stood in the one before, or -1. Both are in the order of RoutingTable.list(). */
export function formerPositions(before: readonly Route[], routes: readonly Route[]): Int32Array {
  const former = new Int32Array(routes.length).fill(-1);
  let first = 0;
  for (const [position, route] of routes.entries()) {
    while (first < before.length && before[first] !== route && comesBefore(before[first], route)) first++;
    for (let at = first; at < before.length && !comesBefore(route, before[at]); at++) {
      if (before[at] !== route && !isLike(before[at], route)) continue;
      former[position] = at;
      break;
    }
  }
  return former;
}

function comesBefore(a: Route, b: Route): boolean {
  return comparePrefixes(a.prefix, b.prefix) < 0;
}
