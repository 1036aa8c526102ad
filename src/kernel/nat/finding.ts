/** What a look at the host before the attachment can bring up. */
import { ExitCode, OperatorError, type OperatorErrorDetail } from '../../errors.ts';

/** Worth saying, no reason to stop. */
export interface PreflightWarning {
  readonly code: string;
  readonly what: string;
  readonly why: string;
  /** May span lines. */
  readonly fix: string;
}

/** A refusal or a warning. */
export type Finding = OperatorError | PreflightWarning;

export function refusal(detail: Omit<OperatorErrorDetail, 'exitCode'>): OperatorError {
  return new OperatorError({ ...detail, exitCode: ExitCode.Failure });
}
