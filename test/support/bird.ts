/** BIRD, a routing daemon, in the namespaces of a star: every gateway talks to the others through the tunnels. */
import { join } from 'node:path';
import { writeConfig } from './gateway.ts';
import type { Daemon } from './process.ts';
import { HUB, networkBehind, networkBehind6, type Spoke, type Star } from './star.ts';

export interface Bird {
  readonly daemon: Daemon;
  /** One command by birdc(8). */
  ask(...words: string[]): Promise<string>;
}

const KERNEL = `
log stderr all;
protocol device { scan time 1; }
protocol kernel { ipv4 { import none; export where source !~ [RTS_STATIC, RTS_STATIC_DEVICE]; }; }
protocol kernel { ipv6 { import none; export where source !~ [RTS_STATIC, RTS_STATIC_DEVICE]; }; }
`;

export function startBird(star: Star, where: 'hub' | Spoke, config: string): Bird {
  const [name, namespace, address] =
    where === 'hub' ? ['hub', star.hub, HUB.address] : [where.name, where.namespace, where.address];
  const file = writeConfig(star, `bird-${name}`, `router id ${address};${KERNEL}${config}`);
  const socket = join(star.folder, `bird-${name}.ctl`);
  const daemon = namespace.spawn(['bird', '-f', '-c', file, '-s', socket]);
  return { daemon, ask: (...words) => namespace.mustRun(['birdc', '-s', socket, ...words]) };
}

/**
 * OSPF over a device that carries no multicast: point-to-multipoint, with the neighbours named (BIRD talks to those by
 * unicast).
 */
export function ospf(where: 'hub' | Spoke, neighbours: readonly string[]): string {
  const stub = where === 'hub' ? '' : `stubnet ${networkBehind(where)};`;
  return `
protocol ospf v2 {
  ipv4 { import all; export none; };
  area 0 {
    ${stub}
    interface "tun0" {
      type ptmp;
      hello 1;
      dead count 4;
      neighbors { ${neighbours.map((address) => `${address};`).join(' ')} };
    };
  };
}
`;
}

/** OSPF for IPv6, whose next hops are link-local addresses. */
export function ospf3(where: 'hub' | Spoke, neighbours: readonly string[]): string {
  const stub = where === 'hub' ? '' : `stubnet ${networkBehind6(where)};`;
  return `
protocol ospf v3 {
  ipv6 { import all; export none; };
  area 0 {
    ${stub}
    interface "tun0" {
      type ptmp;
      hello 1;
      dead count 4;
      neighbors { ${neighbours.map((address) => `${address};`).join(' ')} };
    };
  };
}
`;
}

const HUB_AS = 65000;

/** BGP between the hub and each spoke, every one an autonomous system, with a session for each family. */
export function bgp(where: 'hub' | Spoke, spokes: readonly Spoke[]): string {
  const session = (family: 4 | 6, local: number, number: number, address: string, remote: number) => `
protocol bgp to${number}by${family} {
  local as ${local};
  neighbor ${address} as ${remote};
  connect delay time 1;
  error wait time 1, 2;
  connect retry time 2;
  hold time 3;
  ipv${family} { import all; export all; };
}
`;
  if (where === 'hub') {
    const sessions = ({ number, address, address6 }: Spoke) =>
      session(4, HUB_AS, number, address, HUB_AS + number) +
      session(6, HUB_AS, number, address6, HUB_AS + number);
    return spokes.map(sessions).join('');
  }
  const own = HUB_AS + where.number;
  return `
protocol static { ipv4; route ${networkBehind(where)} blackhole; }
protocol static { ipv6; route ${networkBehind6(where)} blackhole; }
${session(4, own, 0, HUB.address, HUB_AS)}${session(6, own, 0, HUB.address6, HUB_AS)}`;
}
