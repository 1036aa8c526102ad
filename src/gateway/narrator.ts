/**
 * Tells the operator what happens, in OpenVPN's words where people search for them, and in ours where stock is
 * silent: why packets are dropped, and which options differ from the peer's.
 */
import type { PeerConfig } from '../config/model.ts';
import { DROPS } from '../control/drops.ts';
import type { Logger } from '../control/log.ts';
import type { Counters } from '../engine/counters.ts';
import {
  asConfigLine,
  compareOccOptions,
  escapePeerText,
  expectedPeerOptions,
} from '../protocol/occ-options.ts';
import type { OpenUdpSocket } from '../udp/open.ts';
import type { ResolvedRemote } from './remotes.ts';
import { occOptions } from './settings.ts';

/** Drops are summed up this often, never logged one by one. */
export const SUMMARY_INTERVAL_MS = 10_000;

/** Not worth a line of their own: they accompany every start and restart. */
const QUIET_REASONS = new Set(['no-peer', 'peer-restarting', 'empty']);

export class Narrator {
  private readonly log: Logger;
  private readonly config: PeerConfig;
  private readonly reported = new Map<string, number>();
  private occReported = '';

  constructor(log: Logger, config: PeerConfig) {
    this.log = log;
    this.config = config;
  }

  socketOpened(socket: OpenUdpSocket, remote: ResolvedRemote | undefined): void {
    const proto = socket.family === 2 ? 'UDPv4' : 'UDPv6';
    const { localHost } = this.config.transport;
    const local =
      localHost === undefined ? socket.local.replace(/\](.*):(\d+)$/, '][undef]:$2') : socket.local;
    const { receiveBufferBytes, sendBufferBytes } = socket;
    this.log.debug(`Socket Buffers: R=[${receiveBufferBytes}] S=[${sendBufferBytes}]`);
    this.log.info(
      this.config.transport.bind
        ? `${proto} link local (bound): ${local}`
        : `${proto} link local: (not bound)`,
    );
    const tag = remote?.family === 6 ? 'AF_INET6' : 'AF_INET';
    const target =
      remote === undefined ? '[AF_UNSPEC]' : `[${tag}]${remote.addresses[0]}:${remote.remote.port}`;
    this.log.info(`${proto} link remote: ${target}`);
  }

  peerHeard(endpoint: string, first: boolean): void {
    this.log.info({ endpoint }, `Peer Connection Initiated with ${endpoint}`);
    if (first) this.log.info('Initialization Sequence Completed');
  }

  sourceRejected(endpoint: string): void {
    this.log.warn(
      { endpoint, reason: 'source' },
      `TCP/UDP: Incoming packet rejected from ${endpoint}: it is not the configured remote ` +
        '(allow this source address and port by removing `remote` or adding `float`)',
    );
  }

  /** The peer's option string: says in words what differs, once per distinct string. */
  peerOptions(received: string): void {
    if (received === this.occReported) return;
    this.occReported = received;
    this.log.debug(`the peer's options: ${escapePeerText(received)}`);
    const expected = expectedPeerOptions(occOptions(this.config));
    const line = (item: string | undefined) => (item === undefined ? 'nothing' : `'${asConfigLine(item)}'`);
    for (const { option, expected: ours, received: theirs } of compareOccOptions(expected, received)) {
      this.log.warn(
        `WARNING: '${option}' is used inconsistently: the peer's config has ${line(theirs)} where this one expects ` +
          `${line(ours)}; make the two ends agree`,
      );
    }
  }

  /** One line for everything dropped since the last call, most frequent reason first. */
  dropSummary(counters: Counters): void {
    const fresh = DROPS.map(({ name, reason, explanation }) => {
      const total = counters.drops(reason);
      const count = total - (this.reported.get(name) ?? 0);
      this.reported.set(name, total);
      return { name, count, explanation };
    });
    const shown = fresh
      .filter(({ name, count }) => count > 0 && !QUIET_REASONS.has(name) && !this.muted(name))
      .toSorted((a, b) => b.count - a.count);
    if (shown.length === 0) return;
    const total = shown.reduce((sum, { count }) => sum + count, 0);
    const reasons = shown.map(({ name, count }) => `${name} ${count}`).join(', ');
    this.log.warn(
      { reason: shown[0].name },
      `dropped ${total} packet${total === 1 ? '' : 's'}: ${reasons} (${shown[0].name}: ${shown[0].explanation})`,
    );
  }

  private muted(name: string): boolean {
    return (
      this.config.replay.muteWarnings &&
      (name === 'replay' || name === 'replay-expired' || name === 'time-backtrack')
    );
  }
}
