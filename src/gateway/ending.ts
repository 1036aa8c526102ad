/** The end of a tunnel, in words. */
import { ExitCode, OperatorError } from '../errors.ts';

/** Why a tunnel ends, as scripts are told it. */
export function signalName(reason: string): string {
  if (reason === 'control') return 'sigterm';
  return /^[a-z-]+$/.test(reason) ? reason : 'error';
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
