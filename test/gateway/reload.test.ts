import { expect, it } from 'vitest';
import { inWords } from '../../src/gateway/reload.ts';
import { parsePrefix } from '../../src/packet/prefix.ts';
import type { Route } from '../../src/route/route.ts';
import { gatewayOf } from '../support/config.ts';

const NO_PEERS = { added: [], removed: [], changed: [], kept: [] };
const NO_ROUTES = { added: [], removed: [] };

function route(prefix: string): Route {
  const source = {
    kind: 'config',
    where: { file: 'gw.conf', line: 1, column: 1 },
    directive: 'peer-route',
  } as const;
  return { prefix: parsePrefix(prefix)!, kind: 'peer', peer: 'c', metric: 0, source };
}

it('a reload that changes nothing has nothing to say', () => {
  const config = gatewayOf([]);
  expect(inWords(config, gatewayOf(['# moved', 'mute-replay-warnings']), NO_PEERS, NO_ROUTES)).toEqual([]);
});

it('a reload tells peers, then routes, then settings', () => {
  const before = gatewayOf([]);
  const after = gatewayOf([
    'setenv opt peer-to-peer',
    'setenv opt nat none 10.8.0.0/24',
    'verb 4',
    'txqueuelen 7',
  ]);
  const peers = { added: ['c'], removed: ['b'], changed: ['a'], kept: [] };
  const routes = { added: [route('10.3.0.0/16')], removed: [route('10.2.0.0/16')] };
  expect(inWords(before, after, peers, routes)).toEqual([
    'added peer c',
    'removed peer b',
    'restarted peer a with its new settings',
    "added route 10.3.0.0/16 to peer 'c'",
    "removed route 10.2.0.0/16 to peer 'c'",
    'changed verb',
    'changed txqueuelen',
    'changed client-to-client',
    'changed the nat settings',
  ]);
});

it('many changed routes are counted, not listed', () => {
  const config = gatewayOf([]);
  const added = Array.from({ length: 100 }, (_, i) => route(`10.${i}.0.0/16`));
  const words = inWords(config, config, NO_PEERS, { added, removed: [] });
  expect(words).toHaveLength(21);
  expect(words.at(-1)).toBe('and 80 more changes of routes');
});
