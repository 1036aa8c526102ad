/** Warnings of a config in the log; remarks are for `tsvpn check`. */
import type { ConfigWarning, GatewayConfig } from '../config/model.ts';
import type { Logger } from '../control/log.ts';
import { formatPosition } from '../errors.ts';

export function logWarnings(log: Logger, { warnings }: GatewayConfig): void {
  for (const warning of warnings) {
    if (warning.severity === 'warning') log.warn({ code: warning.code }, warningText(warning));
  }
}

function warningText({ what, fix, where }: ConfigWarning): string {
  const advice = fix === undefined ? '' : `; ${fix.replaceAll(/\s+/g, ' ')}`;
  return `WARNING: ${formatPosition(where)}: ${what}${advice}`;
}
