/** Goodput and handshakes on paths narrower than Ethernet and wider, with routers that say so and routers that do not. */
import { PATH_KINDS, type PathKind } from '../lab/path.ts';
import type { Measurement } from './measurements.ts';
import { pathContenders, type PathConditions } from './path-contenders.ts';
import type { Part } from './plan.ts';
import { measureExchange } from './traffic/exchange.ts';

/** Of IPv6's least, a mobile network or tunnel, a large cloud, PPPoE, Ethernet, and jumbo frames. */
const PATH_MTUS = [1280, 1400, 1460, 1492, 1500, 9000];
const QUICK: readonly PathConditions[] = [
  { kind: 'black-hole', mtu: 1400 },
  { kind: 'no-fragments', mtu: 1400 },
];

const TITLES: Readonly<Record<PathKind, string>> = {
  icmp: 'routers send ICMP errors',
  'black-hole': 'routers send no ICMP errors',
  'no-fragments': 'routers send no ICMP errors and drop fragments',
};

function nameOf(kind: PathKind): string {
  return `path-${kind}`;
}

export const PATH_MEASUREMENTS: readonly string[] = PATH_KINDS.map(nameOf);
export const QUICK_PATH_MEASUREMENTS: readonly string[] = QUICK.map(({ kind }) => nameOf(kind));

/** A part for each path: its contenders have a network of their own each. */
export function pathParts(tsvpnCommand: readonly string[], quick: boolean): Part[] {
  const all = PATH_KINDS.flatMap((kind) => PATH_MTUS.map((mtu) => ({ kind, mtu })));
  return (quick ? QUICK : all).map((conditions) => ({
    contenders: pathContenders(conditions, tsvpnCommand),
    measurements: [exchangeOn(conditions)],
  }));
}

/** Once: the kernel of a gateway learns from the first connection, and remembers for ten minutes. */
function exchangeOn({ kind, mtu }: PathConditions): Measurement {
  return {
    name: nameOf(kind),
    title: `TCP from host to host by path MTU, ${TITLES[kind]}`,
    curve: 'path MTU, bytes',
    once: true,
    run: async (tunnel, { seconds }) => [
      { at: mtu, values: await measureExchange(tunnel, Math.ceil(seconds / 2)) },
    ],
  };
}
