/** Fifty peers of one process: stock and tsvpn, on ports of their own and on a shared one, all of them to all. */
import { freemem } from 'node:os';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { COMPLETED, TSVPN } from '../support/gateway.ts';
import { PATIENCE_MS } from '../support/process.ts';
import {
  createStar,
  hubStatus,
  peerBlock,
  startHub,
  startSpoke,
  type Spoke,
  type Star,
} from '../support/star.ts';

const SPOKES = 50;
/** One in so many runs tsvpn, the others stock OpenVPN. */
const TSVPN_EVERY = 5;
/** Spokes that ping at a time. */
const PARALLEL = 5;

/** Resident, of a Node process and of a stock one with its namespace. */
const MEGABYTE = 1 << 20;
const NEEDED = (1 + SPOKES / TSVPN_EVERY) * 100 * MEGABYTE + SPOKES * 15 * MEGABYTE;
const ENOUGH = freemem() > NEEDED;

const isTsvpn = ({ number }: Spoke) => number % TSVPN_EVERY === 0;
const options = ({ number }: Spoke) => ({ shared: number > SPOKES / 2 });

describe('a hub of fifty peers', () => {
  let star: Star | undefined;
  beforeAll(async () => {
    if (!ENOUGH) return;
    const made = await createStar(SPOKES);
    star = made;
    const blocks = made.spokes.map((spoke) => peerBlock(made, spoke, options(spoke)));
    const hub = startHub(made, { blocks });
    await hub.waitFor(/UDPv4 link/);
    for (const spoke of made.spokes)
      startSpoke(made, spoke, isTsvpn(spoke) ? TSVPN : 'openvpn', options(spoke));
    await hub.waitFor(COMPLETED, PATIENCE_MS, SPOKES);
  });
  afterAll(() => star?.destroy());
  beforeEach((context) => context.skip(!ENOUGH, `needs ${NEEDED / MEGABYTE} MiB of free memory`));

  it('has half of them on one socket, told apart by their addresses, and the others on their own', async () => {
    const { peers } = await hubStatus(star!);
    const local = new Set(peers.map((peer) => peer.local));
    expect([peers.length, local.size]).toEqual([SPOKES, SPOKES / 2 + 1]);
    expect(peers.filter(({ socket }) => socket.shared)).toHaveLength(SPOKES / 2);
  });

  it.each([
    ['IPv4', ({ inside }: Spoke) => inside],
    ['IPv6', ({ inside6 }: Spoke) => inside6],
  ] as const)('carries pings of each to each, %s', async (_family, addressOf) => {
    const { spokes } = star!;
    const answered = await inTurns(spokes, PARALLEL, (from) =>
      alive(
        from,
        addressOf(from),
        spokes.map((to) => addressOf(to)),
      ),
    );
    const everybody = spokes.map((spoke) => addressOf(spoke)).sort();
    expect(answered).toEqual(spokes.map(() => everybody));
  });
});

/** Which of the addresses answer, in order of their text; one that is silent is asked a second time. */
async function alive(from: Spoke, source: string, addresses: readonly string[]): Promise<string[]> {
  const words = ['fping', '-a', '-r', '1', '-i', '2', '-t', '2000', '-S', source, ...addresses];
  const { stdout } = await from.namespace.run(words);
  return stdout.trim().split('\n').sort();
}

/** `work` of every item, so many at a time. */
async function inTurns<T, R>(
  items: readonly T[],
  parallel: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const waiting = [...items.entries()];
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      results[next[0]] = await work(next[1]);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return results;
}
