/** Servers that tell their clients which address and port they see, and clients that ask them. */
import { join } from 'node:path';
import type { Namespace } from './netns.ts';
import type { Daemon } from './process.ts';

const WHOAMI = join(import.meta.dirname, 'whoami.mjs');

type Transport = 'tcp' | 'udp';

/** Its log has a line `from ADDRESS:PORT` for each client. */
export async function serve(
  at: Namespace,
  transport: Transport,
  address: string,
  port: number,
): Promise<Daemon> {
  const daemon = at.spawn([process.execPath, WHOAMI, 'serve', transport, address, String(port)]);
  await daemon.waitFor(/listening/);
  return daemon;
}

/** What the server sees, `ADDRESS:PORT`; or the code of the error, `ECONNREFUSED`; or `no answer` within 20 seconds. */
export async function ask(
  from: Namespace,
  transport: Transport,
  address: string,
  port: number,
  localPort?: number,
): Promise<string> {
  const words = ['ask', transport, address, String(port)];
  if (localPort !== undefined) words.push(String(localPort));
  return (await from.mustRun([process.execPath, WHOAMI, ...words])).trim();
}

/** A TCP connection without a server: the other end connects as well. Resolves with what the other end sees. */
export async function meet(
  from: Namespace,
  address: string,
  port: number,
  localPort: number,
): Promise<string> {
  const words = ['meet', 'tcp', address, String(port), String(localPort)];
  return (await from.mustRun([process.execPath, WHOAMI, ...words])).trim();
}
