/** `tsvpn route`, `trace`, `nat` and `reload` against a tunnel that is played by this process. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { deletion, routeSpec } from '../../src/cli/route.ts';
import { renderReload } from '../../src/cli/reload.ts';
import { startControlServer, type Handlers } from '../../src/control/server.ts';
import { runMain } from '../support/cli.ts';
import { SAMPLE_HANDLERS } from '../support/handlers.ts';
import { tempDir } from '../support/temp-dir.ts';

async function tunnels(names: readonly string[], handlers: Partial<Handlers> = {}) {
  const dir = tempDir();
  for (const name of names) {
    const server = await startControlServer(dir, name, { ...SAMPLE_HANDLERS, ...handlers });
    onTestFinished(() => server.close());
  }
  return { TSVPN_RUNTIME_DIR: dir };
}

describe('the words behind `route add`', () => {
  test.each([
    ['10.1.0.0/16 peer b', { prefix: '10.1.0.0/16', kind: 'peer', peer: 'b' }],
    ['10.1.0.0/16 peer b metric 10', { prefix: '10.1.0.0/16', kind: 'peer', peer: 'b', metric: 10 }],
    ['blackhole 10.1.0.0/16', { prefix: '10.1.0.0/16', kind: 'blackhole' }],
    ['10.1.0.0/16 unreachable', { prefix: '10.1.0.0/16', kind: 'unreachable' }],
    ['prohibit fd00::/8 metric 4', { prefix: 'fd00::/8', kind: 'prohibit', metric: 4 }],
  ])('%s', (words, spec) => expect(routeSpec(words.split(' '))).toEqual(spec));

  test.each([
    ['10.1.0.0/16', '2 more arguments are needed'],
    ['10.1.0.0/16 via b', "'via' where `peer` is expected"],
    ['10.1.0.0/16 via b metric 1', "'via' where `peer` is expected"],
    ['10.1.0.0/16 peer b metric', "'metric' where `metric N` is expected"],
    ['10.1.0.0/16 peer b metric -1', "'metric -1' where"],
    ['10.1.0.0/16 peer b metric 5 now', "unexpected argument 'now'"],
    ['blackhole', '1 more argument is needed'],
  ])('%s is refused', (words, what) => {
    expect(() => routeSpec(words.split(' '))).toThrow(new RegExp(what.replaceAll('.', '\\.')));
  });

  test('`route del` takes a prefix, and a metric', () => {
    expect(deletion(['10.1.0.0/16', 'metric', '7'])).toEqual({ prefix: '10.1.0.0/16', metric: 7 });
    expect(deletion(['10.1.0.0/16'])).toEqual({ prefix: '10.1.0.0/16' });
  });
});

describe('subcommands', () => {
  test.each([
    [['route', 'lst'], 'did you mean `tsvpn route list`?'],
    [['route', 'show-me'], 'use one of list, get, add, del'],
    [['nat', 'rule'], 'did you mean `tsvpn nat rules`?'],
    [['route', 'get'], 'usage: tsvpn route get ADDRESS'],
  ])('%j: %s', async (args, words) => {
    const { code, err } = await runMain(args, await tunnels(['hub']));
    expect(code).toBe(2);
    expect(err).toContain(words);
  });

  test('`route` alone lists', async () => {
    const list = { schema: 'tsvpn.routes/1', routes: [], pointToPoint: 'b' } as const;
    const env = await tunnels(['hub'], { 'route-list': () => ({ ...list, more: false }) });
    expect((await runMain(['route'], env)).out).toContain('peer b gets every packet');
    expect(JSON.parse((await runMain(['route', '--json'], env)).out)).toEqual(list);
  });

  test('`route list` asks for one page after the other, and prints one list', async () => {
    const route = (prefix: string) =>
      ({
        prefix,
        kind: 'blackhole',
        peer: null,
        metric: 0,
        source: { kind: 'operator' },
        state: 'active',
        traffic: null,
      }) as const;
    const pages = [['10.1.0.0/16', '10.2.0.0/16'], ['10.3.0.0/16', '10.4.0.0/16'], ['fd01::/48']];
    const asked: (string | undefined)[] = [];
    const env = await tunnels(['hub'], {
      'route-list': ({ after }) => {
        const page = pages[asked.push(after) - 1];
        const more = asked.length < pages.length;
        return { schema: 'tsvpn.routes/1', routes: page.map(route), pointToPoint: 'b', more };
      },
    });
    const { out } = await runMain(['route', 'list', '--json'], env);
    expect(asked).toEqual([undefined, '10.2.0.0/16', '10.4.0.0/16']);
    const schema = 'tsvpn.routes/1';
    expect(JSON.parse(out)).toEqual({ schema, routes: pages.flat().map(route), pointToPoint: 'b' });
    asked.length = 0;
    const lines = (await runMain(['route', 'list'], env)).out.trim().split('\n');
    expect(lines.map((line) => line.split(' ')[0])).toEqual(['#', ...pages.flat()]);
  });
});

describe('which tunnel', () => {
  const handlers: Partial<Handlers> = {
    reload: () => ({ changes: ['added peer c'], untouched: 1, problems: [] }),
  };

  test('the only one, when none is named', async () => {
    const { code, out } = await runMain(['reload'], await tunnels(['hub'], handlers));
    expect({ code, out }).toEqual({ code: 0, out: 'added peer c\n1 peer untouched\n' });
  });

  test('must be said when several run', async () => {
    const { code, err } = await runMain(['reload'], await tunnels(['hub', 'other'], handlers));
    expect(code).toBe(2);
    expect(err).toContain('hub, other');
  });

  test('is missing when none runs', async () => {
    const { code, err } = await runMain(['nat'], { TSVPN_RUNTIME_DIR: tempDir() });
    expect(code).toBe(1);
    expect(err).toContain('no tunnel is running');
  });
});

test('`trace` asks for the packet of its options', async () => {
  const asked: unknown[] = [];
  const env = await tunnels(['hub'], {
    trace: (request) => {
      asked.push(request);
      return { schema: 'tsvpn.trace/1', packet: 'a packet', steps: [] };
    },
  });
  await runMain(['trace', '10.0.0.1', '10.1.0.5'], env);
  const words = '--proto tcp --dport 443 --sport 1234 --from site-b --size 1400 --df --json';
  const { code, out } = await runMain(['trace', '10.0.0.1', '10.1.0.5', ...words.split(' ')], env);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ packet: 'a packet' });
  const common = { source: '10.0.0.1', destination: '10.1.0.5' };
  expect(asked).toEqual([
    { ...common, protocol: 'icmp', sourcePort: 40000, destinationPort: 1, dontFragment: false },
    {
      ...common,
      protocol: 'tcp',
      sourcePort: 1234,
      destinationPort: 443,
      peer: 'site-b',
      size: 1400,
      dontFragment: true,
    },
  ]);
});

test('a reload that could not do everything says so', () => {
  const report = { changes: [], untouched: 2, problems: ['peer c: port in use'], warnings: ['line 3'] };
  expect(renderReload(report)).toBe(
    'nothing has changed\n2 peers untouched\nwarning: line 3\nproblem: peer c: port in use\n',
  );
});
