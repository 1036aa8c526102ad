/**
 * Signals of a running tunnel, from the kernel or from the management interface, with OpenVPN's meanings:
 *
 *     SIGINT, SIGTERM   orderly end; a second SIGINT ends at once and leaves the clean-up to the next start
 *     SIGHUP            the config is read again, and the difference made
 *     SIGUSR1           restart of the connection
 *     SIGUSR2           statistics to the log
 *
 * `raise` is the one place they all pass. As in stock, of signals that come together the first of this list is obeyed and the
 * others are forgotten; and there is nothing to restart before the start is over or while a restart pauses.
 *
 * Every handler is in place before the tunnel starts: SIGUSR1 would otherwise open Node's debugger, and a SIGTERM
 * in the middle of the start is kept until the start can be undone.
 */
import { openvpnStatusLines } from '../control/openvpn-status.ts';
import type { Logger } from '../control/log.ts';
import { ExitCode } from '../errors.ts';
import type { Gateway } from './gateway.ts';
import { logRefused } from './reload.ts';

/** Most urgent first. */
export const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;
export type SignalName = (typeof SIGNALS)[number];

export interface Signals {
  /** Acts soon, as if the process had been sent the signal. From the management, SIGUSR1 is SIGHUP while a restart pauses. */
  raise(signal: SignalName, from?: 'process' | 'management'): void;
  /** Aborted when the process is asked to end. */
  readonly stopAsked: AbortSignal;
  /** Hands the started gateway over; a stop that was asked for meanwhile happens now. */
  attach(gateway: Gateway): void;
  dispose(): void;
}

/** Where signals go: the gateway, as far as they need it. */
type Target = Pick<Gateway, 'stop' | 'restart' | 'reload' | 'status' | 'isPausing'>;

export function handleSignals(log: Logger): Signals {
  const desk = new SignalDesk(log);
  const handlers = SIGNALS.map((signal) => [signal, () => desk.raise(signal)] as const);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return {
    raise: (signal, from) => desk.raise(signal, from),
    stopAsked: desk.stopAsked.signal,
    attach: (gateway) => desk.attach(gateway),
    dispose() {
      for (const [signal, handler] of handlers) process.off(signal, handler);
    },
  };
}

/** Exported for its test. */
export class SignalDesk {
  readonly stopAsked = new AbortController();
  private readonly log: Logger;
  private target: Target | undefined;
  private stopReason: string | undefined;
  private interrupts = 0;
  private pending: SignalName | undefined;

  constructor(log: Logger) {
    this.log = log;
  }

  raise(signal: SignalName, from: 'process' | 'management' = 'process'): void {
    if (signal === 'SIGINT' && ++this.interrupts > 1) process.exit(ExitCode.Failure);
    const meant =
      signal === 'SIGUSR1' && from === 'management' && this.target?.isPausing === true ? 'SIGHUP' : signal;
    if (this.pending === undefined) setImmediate(() => this.act());
    else if (SIGNALS.indexOf(this.pending) <= SIGNALS.indexOf(meant)) return;
    this.pending = meant;
  }

  attach(target: Target): void {
    this.target = target;
    if (this.stopReason !== undefined) void target.stop(this.stopReason);
  }

  private act(): void {
    const signal = this.pending;
    this.pending = undefined;
    if (signal === undefined || this.stopReason !== undefined) return;
    if (signal === 'SIGINT' || signal === 'SIGTERM') return this.stop(signal);
    if (this.target === undefined) return this.log.info(`${signal} ignored during the start`);
    if (signal === 'SIGHUP') this.reload(this.target);
    else if (signal === 'SIGUSR1') this.restart(this.target);
    else this.logStatistics(this.target);
  }

  private stop(signal: 'SIGINT' | 'SIGTERM'): void {
    this.stopReason = signal.toLowerCase();
    this.log.info(`${signal}[hard,] received, process exiting`);
    this.stopAsked.abort();
    void this.target?.stop(this.stopReason);
  }

  private restart(target: Target): void {
    if (target.isPausing) return this.log.info('SIGUSR1 ignored: there is nothing to restart at the moment');
    target.restart('sigusr1');
  }

  private reload(target: Target): void {
    this.log.info('SIGHUP[hard,] received, reading the config again');
    target.reload().catch((error: unknown) => logRefused(this.log, error));
  }

  private logStatistics(target: Target): void {
    for (const line of openvpnStatusLines(target.status().traffic, new Date())) this.log.info(line);
  }
}
