/** Settings of the process, which all files share. */
import { resolve } from 'node:path';
import type { Draft } from '../draft.ts';
import type { Findings } from '../findings.ts';
import type { ProcessConfig } from '../model.ts';
import { agreed } from './shared.ts';

/** Records contradictions between files. */
export function joinProcess(
  drafts: readonly Draft[],
  startDirectory: string,
  findings: Findings,
): ProcessConfig {
  const daemon = agreed(drafts, 'daemon', 'daemon', findings);
  const syslog = agreed(drafts, 'syslog', 'syslog', findings);
  const logFile = agreed(drafts, 'logFile', 'log', findings);
  const directory = drafts.find(({ settings }) => settings.logFile !== undefined)?.directory ?? '';
  return {
    startDirectory,
    daemon: daemon !== undefined,
    logFile: logFile && { ...logFile, path: resolve(directory, logFile.path) },
    syslog: syslog ?? daemon,
    machineReadable: drafts.some(({ settings }) => settings.machineReadable !== undefined),
    nice: agreed(drafts, 'nice', 'nice', findings),
    user: agreed(drafts, 'user', 'user', findings),
    group: agreed(drafts, 'group', 'group', findings),
    remapUsr1: agreed(drafts, 'remapUsr1', 'remap-usr1', findings),
  };
}
