/** A tunnel between the two sites of a path; end a is tsvpn, end b either. */
import { PATH_A, PATH_B } from '../../src/lab/path.ts';
import { COMPLETED, startGateway, TSVPN, writeKey, type Implementation } from './gateway.ts';
import { staticKeyText } from './keys.ts';
import type { Namespace } from './netns.ts';
import { createPathLab, type PathLab, type PathLabOptions } from './path.ts';
import type { Daemon } from './process.ts';

export interface PathTunnelOptions extends PathLabOptions {
  /** At end b. */
  readonly peer: Implementation;
  readonly outer?: 'ipv4' | 'ipv6';
  /** Further config lines. */
  readonly lines?: readonly string[];
  /** Of tsvpn's ends only. */
  readonly ourLines?: readonly string[];
  /** What is to be done to the network before the tunnel starts. */
  readonly prepare?: (lab: PathLab) => Promise<void>;
}

export interface PathTunnel extends PathLab {
  readonly a: Daemon;
  readonly b: Daemon;
}

/** Names of the tunnels: of their config files and devices, too. */
export const NAME = { a: 'site-a', b: 'site-b' } as const;

const ENDS = {
  a: { own: PATH_A, other: PATH_B, inner: ['10.9.0.1', '10.9.0.2'], inner6: ['fd00:9::1', 'fd00:9::2'] },
  b: { own: PATH_B, other: PATH_A, inner: ['10.9.0.2', '10.9.0.1'], inner6: ['fd00:9::2', 'fd00:9::1'] },
} as const;

/** Both sites reach each other; with `ipv6` in both families. Resolves when both ends have heard each other. */
export async function startPathTunnel(options: PathTunnelOptions): Promise<PathTunnel> {
  const lab = createPathLab(options);
  try {
    for (const gateway of [lab.gatewayA, lab.gatewayB]) await gateway.sysctl('net/ipv4/ip_forward', 1);
    await options.prepare?.(lab);
    const secret = writeKey(lab, 'static.key', staticKeyText());
    const start = (end: 'a' | 'b', namespace: Namespace, implementation: Implementation) =>
      startGateway(lab, namespace, {
        implementation,
        name: NAME[end],
        config: configOf(options, end, implementation, secret),
      });
    const a = start('a', lab.gatewayA, TSVPN);
    const b = start('b', lab.gatewayB, options.peer);
    await Promise.all([a.waitFor(COMPLETED), b.waitFor(COMPLETED)]);
    return { ...lab, a, b };
  } catch (error) {
    await lab.destroy();
    throw error;
  }
}

function configOf(
  { outer = 'ipv4', ipv6, lines = [], ourLines = [] }: PathTunnelOptions,
  end: 'a' | 'b',
  implementation: Implementation,
  secret: string,
): string {
  const { other, inner, inner6 } = ENDS[end];
  return [
    'dev tun0',
    `proto ${outer === 'ipv6' ? 'udp6' : 'udp'}`,
    'port 1194',
    `remote ${outer === 'ipv6' ? other.outer6 : other.outer}`,
    `secret ${secret}`,
    'cipher AES-256-CBC',
    'auth SHA256',
    `ifconfig ${inner.join(' ')}`,
    `route ${other.network} 255.255.0.0`,
    ...(ipv6 ? [`ifconfig-ipv6 ${inner6[0]}/64 ${inner6[1]}`, `route-ipv6 ${other.network6}/32`] : []),
    'ping 1',
    'verb 3',
    ...lines,
    ...(implementation === TSVPN ? ourLines : []),
  ].join('\n');
}
