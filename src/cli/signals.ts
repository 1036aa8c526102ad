/**
 * Signals of a running tunnel, with OpenVPN's meanings:
 *
 *     SIGTERM, SIGINT   orderly end; a second SIGINT ends at once and leaves the clean-up to the next start
 *     SIGHUP            the config is read again, and the difference made
 *     SIGUSR1           restart of the connection
 *     SIGUSR2           statistics to the log
 *
 * Every handler is in place before the tunnel starts: SIGUSR1 would otherwise open Node's debugger, and a SIGTERM
 * in the middle of the start is kept until the start can be undone.
 */
import { openvpnStatusLines } from '../control/openvpn-status.ts';
import type { Logger } from '../control/log.ts';
import { ExitCode } from '../errors.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { logRefused } from '../gateway/reload.ts';

export interface Signals {
  /** Hands the started gateway over; a stop that was asked for meanwhile happens now. */
  attach(gateway: Gateway): void;
  dispose(): void;
}

export function handleSignals(log: Logger): Signals {
  let gateway: Gateway | undefined;
  let stopReason: string | undefined;
  let interrupts = 0;

  const stop = (signal: 'SIGTERM' | 'SIGINT') => {
    if (signal === 'SIGINT' && ++interrupts > 1) process.exit(ExitCode.Failure);
    if (stopReason !== undefined) return;
    stopReason = signal.toLowerCase();
    log.info(`${signal}[hard,] received, process exiting`);
    void gateway?.stop(stopReason);
  };
  const restart = () => {
    if (gateway === undefined) return log.info('SIGUSR1 ignored during the start');
    gateway.restart('sigusr1');
  };
  const reload = () => {
    if (gateway === undefined) return log.info('SIGHUP ignored during the start');
    log.info('SIGHUP[hard,] received, reading the config again');
    gateway.reload().catch((error: unknown) => logRefused(log, error));
  };
  const statistics = () => {
    if (gateway === undefined) return;
    for (const line of openvpnStatusLines(gateway.status().traffic, new Date())) log.info(line);
  };

  const handlers: [NodeJS.Signals, () => void][] = [
    ['SIGTERM', () => stop('SIGTERM')],
    ['SIGINT', () => stop('SIGINT')],
    ['SIGHUP', reload],
    ['SIGUSR1', restart],
    ['SIGUSR2', statistics],
  ];
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return {
    attach(started) {
      gateway = started;
      if (stopReason !== undefined) void gateway.stop(stopReason);
    },
    dispose() {
      for (const [signal, handler] of handlers) process.off(signal, handler);
    },
  };
}
