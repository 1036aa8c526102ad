/** What `status` shows: the tunnel's state, put together from the gateway's events and the shared counters. */
import { resolve } from 'node:path';
import { dropCounts } from '../control/drops.ts';
import { STATUS_SCHEMA, type TunnelState as StateName, type TunnelStatus } from '../control/status.ts';
import { VERSION } from '../control/version.ts';
import { systemClock } from '../engine/clock.ts';
import { Counter } from '../engine/counters.ts';
import type { OpenTun } from '../tun/open.ts';
import type { OpenUdpSocket } from '../udp/open.ts';
import type { DataPlane } from './data-plane.ts';
import type { GatewayOptions } from './gateway.ts';
import type { ResolvedRemote } from './remotes.ts';

/** `[AF_INET]192.0.2.1:1194` as people write it. */
function plainEndpoint(endpoint: string): string {
  const [, family, host, port] = /^\[(AF_INET6?)\](.*):(\d+)$/.exec(endpoint) ?? [];
  return family === 'AF_INET6' ? `[${host}]:${port}` : `${host}:${port}`;
}

function formatRemote({ addresses: [address], remote, family }: ResolvedRemote): string {
  return family === 6 ? `[${address}]:${remote.port}` : `${address}:${remote.port}`;
}

export class TunnelState {
  private readonly options: GatewayOptions;
  private readonly tun: OpenTun;
  private readonly fingerprint: string;
  private readonly startedAt = new Date();
  private plane: DataPlane | undefined;
  private name: StateName = 'starting';
  private since = this.startedAt;
  private restarts = 0;
  private socket: OpenUdpSocket | undefined;
  private remote: string | null = null;
  private endpoint: string | null = null;
  private mss = 0;

  constructor(options: GatewayOptions, tun: OpenTun, fingerprint: string) {
    this.options = options;
    this.tun = tun;
    this.fingerprint = fingerprint;
  }

  get connected(): boolean {
    return this.name === 'connected';
  }

  started(plane: DataPlane): void {
    this.plane = plane;
  }

  connecting(socket: OpenUdpSocket, mss: number, remote: ResolvedRemote | undefined): void {
    this.socket = socket;
    this.mss = mss;
    this.remote = remote === undefined ? null : formatRemote(remote);
    this.enter('waiting');
  }

  heard(endpoint: string): void {
    this.endpoint = plainEndpoint(endpoint);
    if (!this.connected) this.enter('connected');
  }

  restarting(): void {
    this.restarts++;
    this.endpoint = null;
    this.enter('restarting');
  }

  exiting(): void {
    this.enter('exiting');
  }

  status(): TunnelStatus {
    const { config, name } = this.options;
    const state = this.connected && this.isSilent() ? 'silent' : this.name;
    return {
      schema: STATUS_SCHEMA,
      version: VERSION,
      name,
      pid: process.pid,
      state,
      stateSince: this.since.toISOString(),
      startedAt: this.startedAt.toISOString(),
      uptimeSec: Math.floor((Date.now() - this.startedAt.getTime()) / 1000),
      restarts: this.restarts,
      configFile: resolve(config.file),
      device: this.tun.name,
      addresses: this.addresses(),
      routes: config.routes.map(({ network, prefixLength }) => `${network}/${prefixLength}`),
      local: this.socket === undefined ? null : plainEndpoint(this.socket.local),
      remote: this.remote,
      endpoint: this.endpoint,
      crypto: {
        provider: this.plane?.providerDescription ?? '',
        cipher: config.cipher.name,
        digest: config.digest.name,
        keyFingerprint: this.fingerprint,
      },
      lastPacketAgeMs: this.lastPacketAgeMs(),
      traffic: this.traffic(),
      drops: this.drops(),
      offload: {
        tun: this.tun.offload,
        udpSegment: this.socket?.offload.segment ?? false,
        udpReceive: this.socket?.offload.receive ?? false,
        fallbacks: this.get(Counter.OffloadFallbacks),
        receiveBufferBytes: this.socket?.receiveBufferBytes ?? 0,
        sendBufferBytes: this.socket?.sendBufferBytes ?? 0,
      },
      mtu: { tunMtu: config.mtu.tunMtu, mss: this.mss === 0 ? null : this.mss },
    };
  }

  private enter(name: StateName): void {
    this.name = name;
    this.since = new Date();
  }

  /** Half of the time after which the peer counts as lost. */
  private isSilent(): boolean {
    const age = this.lastPacketAgeMs();
    const { pingTimeoutSec } = this.options.config.timers;
    return age !== null && pingTimeoutSec > 0 && age > pingTimeoutSec * 500;
  }

  private addresses(): string[] {
    const { address, address6 } = this.options.config.device;
    const texts: string[] = [];
    if (address?.kind === 'p2p') texts.push(`${address.local} peer ${address.remote}`);
    if (address?.kind === 'subnet') texts.push(`${address.local}/${address.prefixLength}`);
    if (address6 !== undefined) texts.push(`${address6.local}/${address6.prefixLength}`);
    return texts;
  }

  private get(counter: Counter): number {
    return this.plane?.counters.get(counter) ?? 0;
  }

  private lastPacketAgeMs(): number | null {
    const last = this.get(Counter.LastReceiveMs);
    return last === 0 ? null : Math.max(0, systemClock.monotonicMs() - last);
  }

  private traffic(): TunnelStatus['traffic'] {
    const count = (packets: Counter, bytes: Counter) => ({
      packets: this.get(packets),
      bytes: this.get(bytes),
    });
    const framed = this.options.config.framing !== 'off';
    return {
      tunRead: count(Counter.TunReadPackets, Counter.TunReadBytes),
      tunWrite: count(Counter.TunWritePackets, Counter.TunWriteBytes),
      udpRead: count(Counter.UdpReadPackets, Counter.UdpReadBytes),
      udpWrite: count(Counter.UdpWritePackets, Counter.UdpWriteBytes),
      authReadBytes: this.get(Counter.AuthReadBytes),
      // Only real compressors count these bytes in stock; a framing alone leaves them at zero.
      compression: framed ? { preCompress: 0, postCompress: 0, preDecompress: 0, postDecompress: 0 } : null,
    };
  }

  private drops(): Record<string, number> {
    return dropCounts((reason) => this.plane?.counters.drops(reason) ?? 0);
  }
}
