/**
 * The socket of a TCP server: takes connections from whom it expects one, until it is closed. OpenVPN closes it with the
 * first connection; here it stays open until somebody has proved to be the peer (engine/candidates.ts).
 */
import { accept, closeTcpSocket, describeTcpSocket } from '../tcp/open.ts';
import {
  encodeEndpoint,
  endpointPort,
  endpointsEqual,
  formatEndpoint,
  type EndpointFamily,
} from '../transport/endpoint.ts';
import type { TcpConnection, TcpSurroundings } from './tcp-connect.ts';
import { withNumericZone } from './zone.ts';

/** After the first, at most one line about connections in this time, milliseconds; one about those that are refused. */
const REPORT_MS = 10_000;

type ListenerSurroundings = Pick<TcpSurroundings, 'watcher' | 'log' | 'signal'>;

export class TcpListener {
  private readonly fd: number;
  private readonly family: EndpointFamily;
  private readonly expected: readonly string[];
  private readonly surroundings: ListenerSurroundings;
  private readonly closing = new AbortController();
  private nextReportMs = 0;
  private nextRefusalMs = 0;

  /** Owns `fd`, which listens. With `expected` addresses others are refused. */
  constructor(
    fd: number,
    family: EndpointFamily,
    expected: readonly string[],
    surroundings: ListenerSurroundings,
  ) {
    this.fd = fd;
    this.family = family;
    this.expected = expected;
    this.surroundings = surroundings;
    const { signal } = surroundings;
    if (signal.aborted) this.close();
    else signal.addEventListener('abort', () => this.close(), { signal: this.closing.signal });
  }

  /** Idempotent. */
  close(): void {
    if (this.closing.signal.aborted) return;
    this.closing.abort();
    closeTcpSocket(this.fd);
  }

  /** The next connection; undefined when the listener is closed. */
  async next(): Promise<TcpConnection | undefined> {
    const { fd, family, closing } = this;
    const waiting = { fd, writable: false, timeoutMs: Infinity, signal: closing.signal };
    while (await this.surroundings.watcher.ready(waiting)) {
      if (closing.signal.aborted) return undefined;
      const accepted = accept(fd);
      if (accepted === undefined) continue;
      const name = formatEndpoint(accepted.remote, 0);
      if (this.isExpected(accepted.remote)) {
        this.reportConnection(name);
        return { socket: describeTcpSocket(accepted.fd, family), remote: accepted.remote };
      }
      closeTcpSocket(accepted.fd);
      this.reportRefusal(name);
    }
    return undefined;
  }

  private reportConnection(name: string): void {
    if (Date.now() < this.nextReportMs) return;
    this.nextReportMs = Date.now() + REPORT_MS;
    this.surroundings.log.info(`TCP connection established with ${name}`);
  }

  private reportRefusal(name: string): void {
    if (Date.now() < this.nextRefusalMs) return;
    this.nextRefusalMs = Date.now() + REPORT_MS;
    this.surroundings.log.warn(`TCP NOTE: Rejected connection attempt from ${name} due to --remote setting`);
  }

  /** Whatever port it calls from. */
  private isExpected(remote: Uint8Array): boolean {
    const { expected, family } = this;
    if (expected.length === 0) return true;
    const port = endpointPort(remote, 0);
    return expected.some((address) =>
      endpointsEqual(encodeEndpoint(withNumericZone(address, 'remote'), port, family), 0, remote, 0),
    );
  }
}
