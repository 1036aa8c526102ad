import { describe, expect, it } from 'vitest';
import { circleText, findCircles, type Detour } from '../../src/gateway/recursion.ts';
import { BIRD, configLine, route } from '../support/routes.ts';

/** `a>b`: datagrams to a go into the tunnel of b. */
function detours(...texts: readonly string[]): Detour[] {
  return texts.map((text) => {
    const [peer, by] = text.split('>');
    return { peer, by, address: `192.0.2.${peer.charCodeAt(0) - 95}`, route: undefined };
  });
}

describe('circles of tunnels', () => {
  it.each<[rule: string, ways: readonly string[], circles: readonly string[]]>([
    ['a tunnel in a tunnel is none', ['a>b'], []],
    ['nor are tunnels in tunnels in tunnels', ['a>b', 'b>c', 'd>c'], []],
    ['a tunnel in itself', ['a>a', 'b>c'], ['a>a']],
    ['two tunnels in each other', ['b>a', 'a>b'], ['a>b b>a']],
    ['three', ['a>c', 'c>b', 'b>a'], ['a>c c>b b>a']],
    ['two circles', ['a>b', 'b>a', 'd>c', 'c>d'], ['a>b b>a', 'c>d d>c']],
    ['a way into a circle is no part of it', ['a>b', 'b>c', 'c>b'], ['b>c c>b']],
    ['one of two ways that share the flows', ['a>b', 'a>c', 'b>a'], ['a>b b>a']],
  ])('%s', (_rule, ways, circles) => {
    const found = findCircles(detours(...ways));
    expect(found.map((circle) => circle.map(({ peer, by }) => `${peer}>${by}`).join(' '))).toEqual(circles);
  });

  it('are told with every way and where it comes from', () => {
    const [a, b] = detours('a>b', 'b>a');
    const text = circleText([
      { ...a, route: route('192.0.2.0/25', 'b', 0, configLine(7)) },
      { ...b, route: route('192.0.2.3/32', 'a', 0, BIRD) },
    ]);
    expect(text).toBe(
      'recursive routing: datagrams to peers would go round for ever, and are dropped: ' +
        'those to a at 192.0.2.2 go into the tunnel of b by the route to 192.0.2.0/25 (hub.conf:7:1); ' +
        'those to b at 192.0.2.3 go into the tunnel of a by the route to 192.0.2.3/32 (from bird); ' +
        'give 192.0.2.2 or 192.0.2.3 a route of its own outside of the tunnels, or name smaller networks',
    );
    expect(circleText(detours('a>a'))).toContain('those to a at 192.0.2.2 go into its own tunnel; give');
  });
});
