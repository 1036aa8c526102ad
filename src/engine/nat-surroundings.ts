/**
 * What NAT asks of the host, answered in the worker: which way the kernel would send a packet, which ports its sockets
 * have, and guard sockets. Answers that cost system calls are kept for some seconds.
 */
import { addressSize, formatAddress, type Family } from '../packet/address.ts';
import type { Batch } from '../packet/batch.ts';
import { PROTOCOL_TCP } from '../packet/tcp.ts';
import { openEgressLookup, type EgressLookup } from '../kernel/egress.ts';
import { localSockets } from '../kernel/sockets.ts';
import type { Poller } from '../ffi/poller.ts';
import type { SnatRule } from '../nat/rule.ts';
import { GuardSockets } from '../udp/guards.ts';
import type { Arena } from '../packet/arena.ts';
import type { Clock } from './clock.ts';
import type { NatSurroundings } from './engine.ts';
import type { GuardDoor } from './side-doors.ts';

/** A route may change without our noticing; a cached answer is used no longer, milliseconds. */
const EGRESS_MS = 10_000;
/** Destinations remembered; a scan through more asks the kernel again. */
const EGRESS_CACHE = 8192;
const SOCKETS_MS = 60_000;

/** Which interface the kernel sends packets out of, by destination. */
class EgressCache {
  private readonly lookup: EgressLookup = openEgressLookup();
  private readonly devices = new Map<string, string | undefined>();
  private readonly clock: Clock;
  private freshUntilMs = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  matches(rule: SnatRule, bytes: Uint8Array, offset: number, family: Family): boolean {
    return this.deviceFor(bytes.slice(offset, offset + addressSize(family))) === rule.egress;
  }

  forget(): void {
    this.freshUntilMs = 0;
  }

  close(): void {
    this.lookup.close();
  }

  private deviceFor(destination: Uint8Array): string | undefined {
    const now = this.clock.monotonicMs();
    if (now >= this.freshUntilMs || this.devices.size >= EGRESS_CACHE) {
      this.devices.clear();
      this.lookup.forget();
      this.freshUntilMs = now + EGRESS_MS;
    }
    const key = formatAddress(destination);
    if (!this.devices.has(key)) this.devices.set(key, this.lookup.find(destination)?.device);
    return this.devices.get(key);
  }
}

/** TCP ports of this host's sockets; UDP ports are found out by binding their guards. */
class LocalTcpPorts {
  private readonly clock: Clock;
  private ports = new Set<number>();
  private freshUntilMs = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  has(port: number): boolean {
    const now = this.clock.monotonicMs();
    if (now >= this.freshUntilMs) {
      this.freshUntilMs = now + SOCKETS_MS;
      const tcp = localSockets().filter(({ transport }) => transport === 'tcp');
      this.ports = new Set(tcp.map((socket) => socket.port));
    }
    return this.ports.has(port);
  }
}

/** Guard sockets, watched by the worker's poller under one key. */
class PolledGuards implements GuardDoor {
  private readonly sockets: GuardSockets;
  private readonly poller: Poller;
  private readonly key: number;

  constructor(arena: Arena, poller: Poller, key: number) {
    this.sockets = new GuardSockets(arena);
    this.poller = poller;
    this.key = key;
  }

  open(address: Uint8Array, port: number): boolean {
    const fd = this.sockets.open(address, port);
    if (fd === undefined) return false;
    this.poller.add(fd, this.key, { readable: true, writable: false });
    return true;
  }

  close(address: Uint8Array, port: number): void {
    this.sockets.close(address, port);
  }

  recvBatch(batch: Batch): number {
    return this.sockets.recvBatch(batch);
  }
}

export interface WorkerNat extends NatSurroundings {
  /** The kernel's routes may have changed. */
  forgetRoutes(): void;
  close(): void;
}

export function natSurroundings(arena: Arena, poller: Poller, guardKey: number, clock: Clock): WorkerNat {
  const egress = new EgressCache(clock);
  const tcp = new LocalTcpPorts(clock);
  return {
    guards: new PolledGuards(arena, poller, guardKey),
    egressMatches: (rule, bytes, offset, family) => egress.matches(rule, bytes, offset, family),
    isLocalPortBusy: (protocol, port) => protocol === PROTOCOL_TCP && tcp.has(port),
    forgetRoutes: () => egress.forget(),
    close: () => egress.close(),
  };
}
