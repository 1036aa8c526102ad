/**
 * The control protocol: one JSON object per line in each direction over a Unix socket, answers in the order of the
 * requests. There is no TCP listener and never will be. What parameters mean is checked by who carries the request out;
 * those that are not known are refused.
 */
import type { OperatorErrorDetail } from '../errors.ts';
import type { MtuReport } from './mtu.ts';
import type { NatPage, NatRules, SessionChoice } from './nat.ts';
import type { RouteGet, RoutePage, RouteSpec } from './routes.ts';
import type { TunnelStatus } from './status.ts';
import type { TraceReport, TraceRequest } from './trace.ts';

/** Longest request, in bytes without its line feed; answers are as long as they are. */
export const REQUEST_MAX = 64 * 1024;
/**
 * A request must be complete, and an answer read, within this time. A gateway that reloads a hundred thousand routes attends to
 * nothing else for a second or two.
 */
export const TIMEOUT_MS = 5000;

/** What is sent with each method. */
export interface Params {
  readonly status: undefined;
  readonly stop: undefined;
  /** One peer, or all of them. */
  readonly restart: { readonly peer?: string };
  readonly reload: undefined;
  /** Routes to the prefixes after this one; from the first unless given. */
  readonly 'route-list': { readonly after?: string };
  readonly 'route-get': { readonly address: string };
  readonly 'route-add': RouteSpec;
  readonly 'route-del': { readonly prefix: string; readonly metric?: number };
  readonly trace: TraceRequest;
  /** From that row on; from the first unless given. */
  readonly 'nat-list': SessionChoice & { readonly from?: number };
  readonly 'nat-rules': undefined;
  readonly 'nat-flush': SessionChoice;
  /** Measures the path to the peer, the only one unless named. */
  readonly mtu: { readonly peer?: string };
}

export type Method = keyof Params;

/**
 * What each method understands. Anything else is refused: a command newer than the tunnel may mean a part of what this method
 * would do to all.
 */
const PARAM_NAMES: { readonly [M in Method]: Readonly<Record<keyof NonNullable<Params[M]>, true>> } = {
  status: {},
  stop: {},
  restart: { peer: true },
  reload: {},
  'route-list': { after: true },
  'route-get': { address: true },
  'route-add': { prefix: true, kind: true, peer: true, metric: true },
  'route-del': { prefix: true, metric: true },
  trace: {
    source: true,
    destination: true,
    protocol: true,
    sourcePort: true,
    destinationPort: true,
    peer: true,
    size: true,
    dontFragment: true,
  },
  'nat-list': { network: true, port: true, protocol: true, state: true, from: true },
  'nat-rules': {},
  'nat-flush': { network: true, port: true, protocol: true, state: true },
  mtu: { peer: true },
};

/** What a reload has done, in words. */
export interface ReloadReport {
  readonly changes: readonly string[];
  /** Peers that were not touched. */
  readonly untouched: number;
  /** What did not work out, but does not undo the rest. */
  readonly problems: readonly string[];
  /** What the new config is warned of; a tunnel older than the command does not say. */
  readonly warnings?: readonly string[];
}

/** What each method answers with. */
export interface Results {
  readonly status: TunnelStatus;
  /** Sent before the tunnel ends; it is down when the process is gone. */
  readonly stop: { readonly pid: number };
  readonly restart: { readonly pid: number };
  readonly reload: ReloadReport;
  readonly 'route-list': RoutePage;
  readonly 'route-get': RouteGet;
  readonly 'route-add': { readonly added: string };
  readonly 'route-del': { readonly deleted: readonly string[] };
  readonly trace: TraceReport;
  readonly 'nat-list': NatPage;
  readonly 'nat-rules': NatRules;
  /** How many sessions have ended. */
  readonly 'nat-flush': { readonly sessions: number };
  readonly mtu: MtuReport;
}

/** Milliseconds in which the answer must come: most is done at once, but a peer may take its time to leave. */
export const ANSWER_TIMEOUT_MS: Readonly<Record<Method, number>> = {
  status: TIMEOUT_MS,
  stop: TIMEOUT_MS,
  restart: TIMEOUT_MS,
  reload: 60_000,
  'route-list': 10_000,
  'route-get': 10_000,
  'route-add': 10_000,
  'route-del': 10_000,
  trace: 10_000,
  'nat-list': 10_000,
  'nat-rules': 10_000,
  'nat-flush': 10_000,
  mtu: 10_000,
};

export interface Request<M extends Method = Method> {
  readonly method: M;
  readonly params: Params[M];
}

export type Answer<M extends Method = Method> =
  | { readonly ok: true; readonly result: Results[M] }
  /** The request itself is at fault, or the tunnel. */
  | { readonly ok: false; readonly error: { readonly code: string; readonly what: string } }
  /** The operator is told as if the command had found out itself. */
  | { readonly ok: false; readonly errors: readonly OperatorErrorDetail[] };

/** The request in `line`, or what is wrong with it. */
export function parseRequest(line: string): Request | { readonly code: string; readonly what: string } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { code: 'REQUEST_SYNTAX', what: 'the request is not JSON' };
  }
  const { method, params } = (value ?? {}) as { method?: unknown; params?: unknown };
  const methods = Object.keys(ANSWER_TIMEOUT_MS) as Method[];
  const known = methods.find((name) => name === method);
  if (known === undefined) {
    return { code: 'REQUEST_METHOD', what: `the request needs a method: ${methods.join(', ')}` };
  }
  if (params !== undefined && (typeof params !== 'object' || params === null)) {
    return { code: 'REQUEST_PARAMS', what: '`params` must be an object' };
  }
  const unknown = Object.keys(params ?? {}).find((name) => !Object.hasOwn(PARAM_NAMES[known], name));
  if (unknown !== undefined)
    return { code: 'REQUEST_PARAMS', what: `${known} knows no parameter '${unknown}'` };
  return { method: known, params };
}
