/** A tunnel is named after its config file, and found again by its name or by that file. */
import { basename, extname } from 'node:path';

const CONFIG_EXTENSIONS = new Set(['.conf', '.ovpn']);

/** `site-a`, `site-a.conf` and `/etc/tsvpn/site-a.conf` all mean `site-a`. */
export function tunnelName(nameOrFile: string): string {
  const file = basename(nameOrFile);
  const extension = extname(file);
  return CONFIG_EXTENSIONS.has(extension) ? basename(file, extension) : file;
}
