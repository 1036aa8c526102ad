/** A tunnel is named on the command line by its name or by the config file it was started from. */
import { basename, extname } from 'node:path';

const CONFIG_EXTENSIONS = new Set(['.conf', '.ovpn']);

/** `site-a`, `site-a.conf` and `/etc/tsvpn/site-a.conf` all mean `site-a`. */
export function tunnelName(operand: string): string {
  const file = basename(operand);
  const extension = extname(file);
  const isFile = operand.includes('/') || CONFIG_EXTENSIONS.has(extension);
  return isFile && extension !== '' ? file.slice(0, -extension.length) : file;
}
