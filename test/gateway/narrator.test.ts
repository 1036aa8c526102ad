/** What the log says of the path to a peer, in whole lines. */
import { describe, expect, it } from 'vitest';
import type { PathMtuChange } from '../../src/engine/messages.ts';
import { Narrator } from '../../src/gateway/narrator.ts';
import { configOf } from '../support/config.ts';
import { testLog } from '../support/log.ts';

const MEASURED: PathMtuChange = {
  why: 'measured',
  toPeer: 1300,
  fromPeer: 1300,
  inner: 1207,
  mss: 1167,
  fragment: 0,
};

function said(change: Partial<PathMtuChange>, ...lines: string[]): string[] {
  const heard: string[] = [];
  new Narrator(testLog(heard), configOf(lines)).pathMtu({ ...MEASURED, ...change });
  return heard;
}

describe('the path MTU', () => {
  it.each<[title: string, change: Partial<PathMtuChange>, line: string]>([
    ['measured', {}, 'of up to 1300 bytes to the peer; inner packets of up to 1207 bytes, MSS 1167'],
    [
      'told by a router',
      { why: 'told' },
      'of up to 1300 bytes to the peer, a router says; inner packets of up to 1207 bytes, MSS 1167',
    ],
    [
      'another one from the peer',
      { fromPeer: 1280 },
      'of up to 1300 bytes to the peer, of up to 1280 from it; inner packets of up to 1207 bytes, MSS 1167',
    ],
    [
      'of no limit',
      { toPeer: undefined, fromPeer: undefined, inner: 1500, mss: 0 },
      'of any length to the peer; inner packets of up to 1500 bytes',
    ],
    [
      'with fragment',
      { fragment: 1292 },
      'of up to 1300 bytes to the peer; fragments in outer IP packets of up to 1292 bytes, MSS 1167',
    ],
  ])('%s', (_, change, line) => {
    expect(said(change)).toEqual([`path MTU: outer IP packets ${line}`]);
  });

  it('forgotten', () => {
    expect(said({ why: 'forgotten', toPeer: undefined, inner: 1500, mss: 0 })).toEqual([
      'path MTU: not known any more; inner packets of up to 1500 bytes',
    ]);
  });

  it.each(['ifconfig-ipv6 fd00::1/64 fd00::2', 'peer-route fd00:7::/64'])(
    'too little for IPv6 is a warning: %s',
    (line) => {
      const warning = expect.stringMatching(
        /^IPv6 inside .* 1280 bytes, and the path carries 1207: add `fragment`/,
      ) as string;
      expect(said({}, line)).toEqual([expect.any(String), warning]);
      expect(said({ inner: 1280 }, line)).toHaveLength(1);
      expect(said({ fragment: 1292 }, line)).toHaveLength(1);
    },
  );
});
