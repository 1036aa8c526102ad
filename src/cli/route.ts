/** `tsvpn route`: the routing table of a running tunnel, in the words of ip-route(8). */
import { request } from '../control/client.ts';
import { renderRouteGet, renderRoutes, type RouteList, type RouteSpec } from '../control/routes.ts';
import { ExitCode } from '../errors.ts';
import { usageError } from './arguments.ts';
import type { Command, Invocation, Io } from './command.ts';
import { expectWords, subcommand } from './subcommand.ts';
import { TUNNEL_OPTION, whichTunnel, type Target } from './which-tunnel.ts';

const SUBCOMMANDS = ['list', 'get', 'add', 'del'] as const;
const REFUSALS = ['blackhole', 'unreachable', 'prohibit'] as const;
const MAX_METRIC = 2 ** 32 - 1;

const USAGE = {
  list: 'route [list] [--json]',
  get: 'route get ADDRESS [--json]',
  add: 'route add PREFIX peer NAME [metric N]',
  refuse: 'route add blackhole|unreachable|prohibit PREFIX [metric N]',
  del: 'route del PREFIX [metric N]',
};

export const route: Command = {
  name: 'route',
  summary: 'show and change the routing table of a running tunnel',
  usage: Object.values(USAGE),
  operands: { min: 0, max: 6 },
  options: {
    json: { type: 'boolean', help: 'print one JSON object (schemas tsvpn.routes/1, tsvpn.route/1)' },
    tunnel: TUNNEL_OPTION,
  },
  examples: [
    { line: 'sudo tsvpn route', does: 'list the table: active, standby and down routes' },
    { line: 'sudo tsvpn route get 10.1.2.3', does: 'which route takes this address, and why' },
    {
      line: 'sudo tsvpn route add 10.1.0.0/16 peer site-b metric 10',
      does: 'add a route until the tunnel ends; a higher metric is a backup',
    },
    { line: 'sudo tsvpn route add blackhole 10.99.0.0/16', does: 'drop what goes there' },
    { line: 'sudo tsvpn route del 10.1.0.0/16', does: 'take an added route away again' },
  ],
  notes:
    'Routes of the config are changed in the config (`tsvpn reload`). The kernel routes of the device follow the table.\n' +
    'active: takes the packets of its prefix; standby: does when those before it are down; down: its peer is lost.\n' +
    'Packets and bytes are those that the route has taken since it is in the table; --json has them as `traffic`.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const [word = 'list', ...words] = invocation.operands;
  const name = subcommand('route', word, SUBCOMMANDS);
  const json = invocation.flag('json');
  const target = () => whichTunnel(invocation.value('tunnel'), '--tunnel NAME', io);
  switch (name) {
    case 'list':
      expectWords(words, 0, 0, USAGE.list);
      return list(await target(), json, io);
    case 'get':
      expectWords(words, 1, 1, USAGE.get);
      return get(await target(), words[0], json, io);
    case 'add': {
      const spec = routeSpec(words);
      const { dir, name: tunnel } = await target();
      const { added } = await request(dir, tunnel, 'route-add', spec);
      return done({ added }, `added ${added}`, json, io);
    }
    case 'del': {
      const spec = deletion(words);
      const { dir, name: tunnel } = await target();
      const { deleted } = await request(dir, tunnel, 'route-del', spec);
      return done({ deleted }, deleted.map((text) => `deleted ${text}`).join('\n'), json, io);
    }
  }
}

/** Page by page; as JSON one object all the same. */
async function list({ dir, name }: Target, json: boolean, io: Io): Promise<ExitCode> {
  const routes: RouteList['routes'][number][] = [];
  for (let after: string | undefined, more = true; more;) {
    const page = await request(dir, name, 'route-list', after === undefined ? {} : { after });
    const isFirst = after === undefined;
    after = page.routes.at(-1)?.prefix;
    more = page.more && after !== undefined;
    if (!json) {
      const shown = isFirst ? page : { ...page, pointToPoint: null };
      done(undefined, renderRoutes(shown, io.paintOut), json, io);
      continue;
    }
    routes.push(...page.routes);
    if (more) continue;
    const { schema, pointToPoint } = page;
    done({ schema, routes, pointToPoint } satisfies RouteList, '', json, io);
  }
  return ExitCode.Ok;
}

async function get({ dir, name }: Target, address: string, json: boolean, io: Io): Promise<ExitCode> {
  const found = await request(dir, name, 'route-get', { address });
  return done(found, renderRouteGet(found, io.paintOut), json, io);
}

function done(result: unknown, text: string, json: boolean, io: Io): ExitCode {
  if (json) io.out(`${JSON.stringify(result)}\n`);
  else if (text !== '') io.out(`${text}\n`);
  return ExitCode.Ok;
}

/** `PREFIX peer NAME [metric N]`, and a kind of refusal on either side of its prefix. Throws a usage error. */
export function routeSpec(words: readonly string[]): RouteSpec {
  const kind = REFUSALS.find((refusal) => words[0] === refusal || words[1] === refusal);
  if (kind !== undefined) {
    expectWords(words, 2, 4, USAGE.refuse);
    const prefix = words[0] === kind ? words[1] : words[0];
    return { prefix, kind, ...metricOf(words.slice(2), USAGE.refuse) };
  }
  expectWords(words, 3, 5, USAGE.add);
  const [prefix, via, peer, ...rest] = words;
  if (via !== 'peer')
    throw usageError(
      `'${via}' where \`peer\` is expected`,
      `usage: tsvpn ${USAGE.add}\nusage: tsvpn ${USAGE.refuse}`,
    );
  return { prefix, kind: 'peer', peer, ...metricOf(rest, USAGE.add) };
}

/** `PREFIX [metric N]`. Throws a usage error. */
export function deletion(words: readonly string[]): { prefix: string; metric?: number } {
  expectWords(words, 1, 3, USAGE.del);
  return { prefix: words[0], ...metricOf(words.slice(1), USAGE.del) };
}

function metricOf([word, text]: readonly string[], usage: string): { metric?: number } {
  if (word === undefined) return {};
  const metric = /^\d{1,10}$/.test(text ?? '') ? Number(text) : NaN;
  if (word === 'metric' && metric <= MAX_METRIC) return { metric };
  throw usageError(
    `'${[word, text].join(' ').trim()}' where \`metric N\` is expected`,
    `usage: tsvpn ${usage}`,
  );
}
