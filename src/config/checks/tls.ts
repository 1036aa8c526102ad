/** Lines of TLS mode, which come in dozens: one error tells of all. */
import type { Draft } from '../draft.ts';
import { refuse } from '../findings.ts';
import type { Line } from '../lexer.ts';

export function checkTls({ tlsLines, settings, findings }: Draft): void {
  if (tlsLines.length === 0) return;
  const [{ where }] = tlsLines;
  const names = tlsLines.map((line) => place(line, where.file)).join(', ');
  if (settings.secret === undefined) {
    refuse(findings, where, 'CONFIG_TLS', 'this is a TLS config', {
      why: `tsvpn speaks static key only, and these lines are for TLS: ${names}`,
      fix: 'run openvpn for it; for tsvpn both ends need a config with `secret` (`tsvpn init` writes a pair)',
    });
  } else {
    refuse(findings, where, 'CONFIG_TLS', 'lines for TLS beside `secret`', {
      why: `with \`secret\` the tunnel has a static key, and these are for TLS: ${names}`,
      fix: 'remove these lines; if TLS is meant, run openvpn with the config',
    });
  }
}

function place({ name, where }: Line, mainFile: string): string {
  return where.file === mainFile ? `${name} (line ${where.line})` : `${name} (${where.file}:${where.line})`;
}
