/** The end of a tunnel, in words. */
import type { StateChange } from '../control/overseer.ts';
import { ExitCode, OperatorError } from '../errors.ts';

/** Why a tunnel ends, as scripts are told it: stock writes signals in lower case there. */
export function signalName({ detail = '' }: StateChange): string {
  return detail.startsWith('SIG') ? detail.toLowerCase() : detail;
}

/** For who asks for something at that time. */
export function ending(): OperatorError {
  return new OperatorError({
    code: 'ENDING',
    what: 'the tunnel is about to end',
    fix: 'start it again with the new config',
    exitCode: ExitCode.Failure,
  });
}
