/** What a config names and this host must have: directories to write in, scripts, the password of the management. */
import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { directoryProblem, programProblem, readRegularFile, type FileContent } from '../files.ts';
import { refuse, warn, type Findings } from '../findings.ts';
import type { GatewayConfig } from '../model.ts';

/** `running`: for a reload, when status, log and pid file are open. */
export function checkFiles(config: GatewayConfig, findings: Findings, running: boolean): void {
  checkWritable(config, findings, running);
  checkScripts(config, findings);
  checkPasswordFile(config, findings);
}

/** Refuses files that could not be written later, when nobody looks any more. */
function checkWritable(config: GatewayConfig, findings: Findings, running: boolean): void {
  const { lines, files } = config;
  const top = { file: files[0], line: 1, column: 1 };
  const openFromStart = [
    ['status', config.statusFile?.path, lines.status],
    ['writepid', config.pidFile, lines.writepid],
    ['log', config.process.logFile?.path, lines.log],
  ] as const;
  const replayFiles = config.peers.map((peer) => {
    return ['replay-persist', peer.replay.persist, peer.lines['replay-persist']] as const;
  });
  for (const [name, path, where] of [...(running ? [] : openFromStart), ...replayFiles]) {
    if (path === undefined) continue;
    const problem = directoryProblem(dirname(path)) ?? writeProblem(dirname(path));
    if (problem === undefined) continue;
    refuse(findings, where ?? top, 'CONFIG_FILE', `${name}: the directory of ${path} ${problem}`, {
      why: 'the file is written there while the tunnel runs, or when it ends',
      fix: `${problem.includes('exist') ? `mkdir -p ${dirname(path)}` : 'run tsvpn as root (sudo)'}, or name another file behind \`${name}\``,
    });
  }
}

/** As stock: a script that cannot be run is a fault of the config, and not of the moment when it would be run. */
function checkScripts({ scripts }: GatewayConfig, findings: Findings): void {
  for (const [name, command] of Object.entries(scripts.commands)) {
    const problem = programProblem(command.program);
    if (problem === undefined) continue;
    const what = `${name}: the script ${command.words[0]} ${problem}`;
    refuse(findings, command.where, 'CONFIG_SCRIPT', what, {
      why: 'it is run without a shell and without PATH; a relative name starts from the working directory, or from `cd`',
      fix: `correct the name, or make the file executable: chmod +x ${command.program}`,
    });
  }
}

/** As stock, which reads the password before it starts. */
function checkPasswordFile({ management }: GatewayConfig, findings: Findings): void {
  const { passwordFile: path, where } = management ?? {};
  if (path === undefined || where === undefined) return;
  const content = readRegularFile(path);
  const problem =
    'problem' in content ? content.problem : /^[^\r\n]/.test(textOf(content)) ? undefined : 'is empty';
  if (problem !== undefined) {
    refuse(findings, where, 'CONFIG_MANAGEMENT', `management: the password file ${path} ${problem}`, {
      why: 'its first line is the password',
      fix: 'make the file, with mode 0600, or name another one; a password cannot be typed in',
    });
  } else if ('mode' in content && (content.mode & 0o077) !== 0) {
    const what = `the password file ${path} is not private: its group or others have access to it`;
    warn(findings, where, 'CONFIG_MANAGEMENT', what, { fix: `chmod 600 ${path}` });
  }
}

function textOf({ bytes }: FileContent): string {
  return Buffer.from(bytes).toString();
}

function writeProblem(directory: string): string | undefined {
  try {
    accessSync(directory, constants.W_OK);
    return undefined;
  } catch {
    return 'is not writable';
  }
}
