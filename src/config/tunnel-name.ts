/** A tunnel is named after its config file, and found again by its name or by that file. */
import { basename, extname } from 'node:path';
import { COMMAND_LINE } from './command-line.ts';

const CONFIG_EXTENSIONS = new Set(['.conf', '.ovpn']);

/** `site-a`, `site-a.conf` and `/etc/tsvpn/site-a.conf` all mean `site-a`. */
export function tunnelName(nameOrFile: string): string {
  if (nameOrFile === COMMAND_LINE) return 'command-line';
  const file = basename(nameOrFile);
  const extension = extname(file);
  return CONFIG_EXTENSIONS.has(extension) ? basename(file, extension) : file;
}
