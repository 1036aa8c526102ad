/** Ports by the names of services: `port openvpn`. */
import { readFileSync } from 'node:fs';

let services: ReadonlyMap<string, number> | undefined;

/** Names and other names to ports, of UDP before those of other protocols: services(5). */
export function parseServices(text: string): ReadonlyMap<string, number> {
  const ports = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [name, place = '', ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/);
    const [port, protocol] = place.split('/');
    if (!/^\d{1,5}$/.test(port)) continue;
    for (const each of [name, ...aliases]) {
      if (protocol === 'udp' || !ports.has(each)) ports.set(each, Number(port));
    }
  }
  return ports;
}

function readServices(): ReadonlyMap<string, number> {
  try {
    return parseServices(readFileSync('/etc/services', 'utf8'));
  } catch {
    return new Map();
  }
}

/** The port of a service of this host. */
export function servicePort(name: string): number | undefined {
  if (!/^[A-Za-z]/.test(name)) return undefined;
  services ??= readServices();
  return services.get(name);
}
