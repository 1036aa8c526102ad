/** What is wrong or risky in a config, as lines of the log; remarks are for `tsvpn check`. */
import type { GatewayConfig } from '../config/model.ts';
import type { Logger } from '../control/log.ts';
import { formatPosition, type SourcePosition } from '../errors.ts';

export function logWarnings(log: Logger, config: GatewayConfig): void {
  for (const { code, text } of warningsOf(config)) log.warn({ code }, `WARNING: ${text}`);
}

export function warningsOf({ warnings }: GatewayConfig): { readonly code: string; readonly text: string }[] {
  return warnings
    .filter(({ severity }) => severity === 'warning')
    .map((warning) => ({ code: warning.code, text: inOneLine({ ...warning, why: undefined }) }));
}

interface Finding {
  readonly what: string;
  readonly why?: string | undefined;
  readonly fix?: string | undefined;
  readonly where?: SourcePosition | undefined;
}

/** For the log: place, what, why, what to do. */
export function inOneLine({ what, why, fix, where }: Finding): string {
  const place = where === undefined ? '' : `${formatPosition(where)}: `;
  const reason = why === undefined ? '' : `: ${why}`;
  const advice = fix === undefined ? '' : `; ${fix.replaceAll(/\s+/g, ' ')}`;
  return `${place}${what}${reason}${advice}`;
}
