/**
 * The control protocol: one JSON object per line in each direction over a Unix socket, answers in the order of the
 * requests. There is no TCP listener and never will be.
 */
import type { TunnelStatus } from './status.ts';

/** Longest request, in bytes without its line feed; answers are as long as they are. */
export const REQUEST_MAX = 64 * 1024;
/** A request must be complete, and an answer read, within this time. */
export const TIMEOUT_MS = 1000;

const METHODS = ['status', 'stop', 'restart'] as const;
export type Method = (typeof METHODS)[number];

export interface Request {
  readonly method: Method;
}

/** What each method answers with. */
export interface Results {
  readonly status: TunnelStatus;
  /** Sent before the tunnel ends; it is down when the process is gone. */
  readonly stop: { readonly pid: number };
  readonly restart: { readonly pid: number };
}

export type Answer<M extends Method = Method> =
  | { readonly ok: true; readonly result: Results[M] }
  | { readonly ok: false; readonly error: { readonly code: string; readonly what: string } };

/** The request in `line`, or what is wrong with it. */
export function parseRequest(line: string): Request | { readonly code: string; readonly what: string } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { code: 'REQUEST_SYNTAX', what: 'the request is not JSON' };
  }
  const method = (value as { method?: unknown } | null)?.method;
  const known = METHODS.find((name) => name === method);
  if (known !== undefined) return { method: known };
  return { code: 'REQUEST_METHOD', what: `the request needs a method: ${METHODS.join(', ')}` };
}
