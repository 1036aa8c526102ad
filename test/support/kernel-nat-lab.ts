/** A gateway between a LAN and a WAN, and the NAT attachment run in it as a process of its own (kernel-nat.mjs). */
import { join, resolve } from 'node:path';
import type { CleanupReport } from '../../src/kernel/cleanup.ts';
import { createLab, type Lab, type Namespace } from './netns.ts';
import type { Daemon } from './process.ts';

const CHILD = resolve(import.meta.dirname, 'kernel-nat.mjs');
const CLEANER = resolve(import.meta.dirname, 'kernel-setup.mjs');

/** Name of the gateway's device. */
export const TUN = 'tun7';

export const RANGE: readonly string[] = ['masquerade eth1'];
export const ALIAS = 'alias eth1 172.16.0.9';
export const EVERYTHING: readonly string[] = [
  'masquerade eth1',
  ALIAS,
  'forward eth0 tcp 8080 10.8.0.2',
  'forward eth1 udp 53 fd08::2',
  'alias eth1 fd16::9',
];

export interface Order {
  readonly lines: readonly string[];
  readonly ports?: { first: number; last: number };
  readonly peerPort?: number;
  readonly dieAt?: number;
  readonly last?: 'undo' | 'wait';
}

/**
 *   lan ──────── gateway ──────── wan
 *   172.16.0.3   eth1 172.16.0.2
 *                eth0 203.0.113.2   203.0.113.9
 */
export class NatLab {
  readonly lab: Lab;
  readonly gateway: Namespace;
  readonly lan: Namespace;
  readonly wan: Namespace;
  readonly journal: string;

  private constructor(lab: Lab, gateway: Namespace, lan: Namespace, wan: Namespace) {
    this.lab = lab;
    this.gateway = gateway;
    this.lan = lan;
    this.wan = wan;
    this.journal = join(lab.folder, 'run', 'office.journal');
  }

  /** Reverse path filtering is strict, as most distributions have it. */
  static async create(): Promise<NatLab> {
    const lab = createLab();
    const gateway = await lab.namespace('gw');
    const lan = await lab.namespace('lan');
    const wan = await lab.namespace('wan');
    await lab.connect(gateway, 'eth1', lan, 'eth0');
    await lab.connect(gateway, 'eth0', wan, 'eth0');
    const addresses: readonly [Namespace, string, string][] = [
      [gateway, '172.16.0.2/24', 'eth1'],
      [gateway, 'fd16::2/64', 'eth1'],
      [gateway, '203.0.113.2/24', 'eth0'],
      [lan, '172.16.0.3/24', 'eth0'],
      [lan, 'fd16::3/64', 'eth0'],
      [wan, '203.0.113.9/24', 'eth0'],
    ];
    for (const [host, address, device] of addresses) await host.ip('address', 'add', address, 'dev', device);
    for (const on of ['all', 'eth0', 'eth1']) await gateway.sysctl(`net/ipv4/conf/${on}/rp_filter`, 1);
    return new NatLab(lab, gateway, lan, wan);
  }

  argv(order: Order): string[] {
    return [
      process.execPath,
      CHILD,
      JSON.stringify({ journal: this.journal, tun: TUN, last: 'wait', ...order }),
    ];
  }

  async attached(order: Order): Promise<Daemon> {
    const daemon = this.gateway.spawn(this.argv(order));
    await daemon.waitFor(/ready/);
    return daemon;
  }

  async cleanUp(): Promise<CleanupReport> {
    const order = JSON.stringify({ journal: this.journal, changes: [], last: 'cleanup' });
    return JSON.parse(await this.gateway.mustRun([process.execPath, CLEANER, order])) as CleanupReport;
  }

  /** Everything an attachment may touch. */
  picture(): Promise<string> {
    const script = `
      ip -br link; ip -br address; ip route show table all; ip -6 route show table all
      ip -d rule; ip -6 -d rule; ip neigh show proxy; ip -6 neigh show proxy
      cd /proc/sys/net; grep . ip*/conf/*/*forwarding ipv4/conf/*/rp_filter ipv6/conf/*/proxy_ndp`;
    return this.gateway.mustRun(['sh', '-c', script]);
  }

  async rules(): Promise<string[]> {
    const lines = (await this.gateway.ip('rule')).trimEnd().split('\n');
    return lines.map((line) => line.replace(/\s+/g, ' '));
  }

  /** What the device is handed, as tcpdump writes it. */
  async dump(filter: string): Promise<Daemon> {
    const dump = this.gateway.spawn(['tcpdump', '-n', '-l', '-i', TUN, filter]);
    await dump.waitFor(/listening on/);
    return dump;
  }
}
