/**
 * Entry of the data-plane worker thread: builds the engine over the real devices and runs the loop
 *
 *     wait (epoll: TUN, links, wake-up, next timer) → take commands → breathe
 *
 * until the engine has stopped. The thread blocks in epoll, not in Node's event loop: commands are taken from the
 * port by hand after a wake-up, events are posted to the main thread's event loop. Owns the TUN descriptor and the
 * sockets it is given; for the main thread, which has no poller, it waits for others.
 */
import { receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads';
import type { CryptoProvider, Suite } from '../crypto/provider.ts';
import { randomPool } from '../crypto/random.ts';
import { selectProvider } from '../crypto/select.ts';
import { wipeKeys } from '../crypto/static-key.ts';
import {
  ExitCode,
  locateThrown,
  OperatorError,
  type DirectiveLines,
  type OperatorErrorDetail,
} from '../errors.ts';
import { NativeArena } from '../ffi/memory.ts';
import { Capability, isPermitted, keepOverUserChange, limitCapabilities } from '../ffi/capabilities.ts';
import { Poller, Wakeup } from '../ffi/poller.ts';
import { LinuxIcmpPort } from '../icmp/linux.ts';
import { ENDPOINT_SIZE } from '../packet/batch.ts';
import type { Coalescible } from '../packet/coalesce.ts';
import { LinuxTun } from '../tun/linux.ts';
import type { OpenTun } from '../tun/open.ts';
import { GuardSockets } from '../udp/guards.ts';
import { TcpPorts, type LinuxTcpPort } from '../tcp/linux.ts';
import { longestDatagram } from '../tcp/port.ts';
import type { TransportPort } from '../transport/port.ts';
import { LinuxUdpPort, UdpTables } from '../udp/linux.ts';
import { RAW_BUFFER_SIZE, rawBuffer, type RawBuffer } from '../udp/raw.ts';
import { systemClock } from './clock.ts';
import { Counter, Counters } from './counters.ts';
import { DATAGRAM_SLOTS, Engine } from './engine.ts';
import type { Link } from './link.ts';
import { natSurroundings, type WorkerNat } from './nat-surroundings.ts';
import type { EngineCommand, EngineEvent, EngineSettings } from './messages.ts';

export interface WorkerData {
  readonly port: MessagePort;
  readonly tun: OpenTun;
  readonly wakeupFd: number;
  /** Of the device. */
  readonly counters: SharedArrayBuffer;
  readonly settings: EngineSettings;
  /** Tested before the first peer is added; `lines` are those of who asks for them. */
  readonly suites: readonly { readonly suite: Suite; readonly lines: DirectiveLines }[];
  readonly legacyProvider: boolean;
  readonly forcedCrypto: string | undefined;
}

/** Keys of the poller; those of links begin at `Link`, those of descriptors that others wait for at `Watched`. */
const Source = { Wakeup: 0, Tun: 1, Icmp: 2, Guards: 3, Link: 16, Watched: 0x4000_0000 } as const;

/** What the engine tells when it may have closed links. */
const CLOSES_LINKS: ReadonlySet<EngineEvent['kind']> = new Set(['restarting', 'removed', 'turned-away']);

/** epoll_wait takes an int; an idle tunnel wakes up at least this often. */
const MAX_WAIT_MS = 3_600_000;

class Loop {
  private readonly data: WorkerData;
  private readonly poller = new Poller();
  private readonly wakeup: Wakeup;
  private readonly arena: NativeArena;
  /** Arena offset of the socket address that the raw ICMP socket sends to. */
  private readonly icmpTarget: number;
  private readonly rawBuffer: RawBuffer;
  private readonly nat: WorkerNat;
  private readonly tables: UdpTables;
  private readonly tcpPorts: TcpPorts;
  private readonly engine: Engine;
  private readonly providers = new Map<string, CryptoProvider>();
  private readonly tun: LinuxTun;
  private readonly links = new Map<number, Link>();
  private readonly notes: string[] = [];
  /** The link that packets from the kernel wait for. */
  private blocked: Link | undefined;
  /** Watched for writability. */
  private readonly full = new Set<Link>();
  /** The TUN device is not watched. */
  private paused = false;
  private readonly counters: Counters;
  private readonly random = randomPool();
  private superPackets: Coalescible;
  private readonly told = new Set<string>();

  constructor(data: WorkerData) {
    this.data = data;
    // Until `confine` says which.
    keepOverUserChange(true);
    const { settings } = data;
    for (const { suite, lines } of data.suites) this.providerFor(suite, lines);
    const arena = new NativeArena(
      Engine.arenaSize(settings) +
        UdpTables.arenaSize(DATAGRAM_SLOTS) +
        LinuxTun.arenaSize() +
        GuardSockets.arenaSize() +
        RAW_BUFFER_SIZE +
        ENDPOINT_SIZE,
    );
    this.arena = arena;
    this.icmpTarget = arena.take(ENDPOINT_SIZE);
    this.rawBuffer = rawBuffer(arena);
    this.nat = natSurroundings(arena, this.poller, Source.Guards, systemClock);
    this.tables = new UdpTables(arena, DATAGRAM_SLOTS);
    this.tcpPorts = new TcpPorts({
      sendSlots: DATAGRAM_SLOTS,
      batchBytes: Engine.batchBytes(settings),
      longestDatagram: longestDatagram(settings.tunMtu),
    });
    this.tun = new LinuxTun(data.tun, arena);
    this.wakeup = new Wakeup(data.wakeupFd);
    this.counters = new Counters(data.counters);
    this.superPackets = this.tun.superPackets;
    this.engine = new Engine({
      arena,
      tun: this.tun,
      settings,
      clock: systemClock,
      random: this.random,
      counters: this.counters,
      emit: (event) => this.emit(event),
      nat: this.nat,
    });
    this.poller.add(this.wakeup.fd, Source.Wakeup, { readable: true, writable: false });
    this.poller.add(this.tun.fd, Source.Tun, { readable: true, writable: false });
  }

  run(): void {
    const [first] = this.providers.values();
    this.emit({ kind: 'ready', providerDescription: first?.description ?? '', notes: this.notes });
    let more = false;
    while (this.engine.state !== 'stopped') {
      this.wait(more ? 0 : this.engine.nextTimeoutMs());
      more = this.engine.breathe();
      this.watchWritable();
      this.watchOffloads();
    }
    this.poller.close();
    this.nat.close();
    for (const provider of this.providers.values()) provider.dispose();
  }

  private wait(timeoutMs: number): void {
    const count = this.poller.wait(Math.min(Math.ceil(timeoutMs), MAX_WAIT_MS));
    for (let i = 0; i < count; i++) {
      const key = this.poller.key(i);
      if (key === Source.Wakeup) this.takeCommands();
      else if (key === Source.Tun) {
        // The kernel's answer for a device that is unregistered; for one that is down there is none.
        if (this.poller.failed(i)) throw deviceGone(this.tun.name);
        this.engine.tunReady = true;
      } else if (key === Source.Icmp) {
        this.engine.sideDoors.icmpReady = true;
      } else if (key === Source.Guards) {
        this.engine.sideDoors.guardsReady = true;
      } else if (key >= Source.Watched) {
        this.emit({ kind: 'descriptor-ready', id: key - Source.Watched });
      } else {
        const link = this.links.get(key - Source.Link);
        if (link !== undefined) {
          link.ready = true;
          link.failed ||= this.poller.failed(i);
        }
        if (link === this.blocked) this.engine.writable = true;
      }
    }
  }

  /** Links that datagrams wait for are watched for writability; while the only one is, the TUN device is left alone. */
  private watchWritable(): void {
    const { blocked: paused, blockedLink: blocked } = this.engine;
    if (paused !== this.paused) {
      this.poller.modify(this.tun.fd, Source.Tun, { readable: !paused, writable: false });
      this.paused = paused;
    }
    for (const link of this.links.values()) {
      const writable = link === blocked || link.port.stream?.congested === true;
      if (writable === this.full.has(link)) continue;
      if (writable) this.full.add(link);
      else this.full.delete(link);
      this.poller.modify(fdOf(link.port), Source.Link + link.id, { readable: true, writable });
    }
    this.blocked = blocked;
  }

  /** Counts offloads that failed, and tells the first time of each kind. */
  private watchOffloads(): void {
    for (const { port } of this.links.values()) {
      const fallbacks = port instanceof LinuxUdpPort ? port.takeFallbacks() : 0;
      if (fallbacks === 0) continue;
      this.counters.add(Counter.OffloadFallbacks, fallbacks);
      this.offloadFailed('UDP GSO');
    }
    if (this.superPackets !== this.tun.superPackets) {
      this.superPackets = this.tun.superPackets;
      this.counters.add(Counter.OffloadFallbacks, 1);
      this.offloadFailed('TUN super-packets');
    }
  }

  private offloadFailed(offload: 'UDP GSO' | 'TUN super-packets'): void {
    if (this.told.has(offload)) return;
    this.told.add(offload);
    this.emit({ kind: 'offload-failed', offload });
  }

  private takeCommands(): void {
    this.wakeup.drain();
    for (;;) {
      const received = receiveMessageOnPort(this.data.port);
      if (received === undefined) return;
      this.execute(received.message as EngineCommand);
    }
  }

  private execute(command: EngineCommand): void {
    const { engine } = this;
    switch (command.kind) {
      case 'add-peer':
        return this.addPeer(command);
      case 'remove-peer':
        return engine.peering.removePeer(command.peer);
      case 'open-link':
        return this.openLink(command);
      case 'open-stream':
        return this.openStream(command);
      case 'watch':
        return this.poller.tryOnce(command.fd, Source.Watched + command.id, command.writable);
      case 'unwatch':
        return this.poller.tryRemove(command.fd);
      case 'share-link':
        return engine.peering.shareLink(command.link);
      case 'close-link':
        engine.peering.closeLink(command.link);
        this.forgetLinks();
        return this.emit({ kind: 'link-closed', link: command.link });
      case 'connect':
        return engine.peering.connect(command.peer, command.link, command.way);
      case 'way-changed':
        return engine.peering.wayChanged(command.peer);
      case 'tables':
        this.nat.forgetRoutes();
        return engine.setTables(command.tables);
      case 'recursive':
        return engine.setRecursive(command.peers);
      case 'settings':
        return engine.setSettings(command.settings);
      case 'restart':
        return engine.peering.restart(command.peer, command.reason);
      case 'stop':
        return engine.stop();
      case 'query':
        return engine.query(command.query, (result) => this.emit({ kind: 'answer', id: command.id, result }));
      case 'nat':
        return engine.setNat(command.settings);
      case 'icmp-socket':
        return this.openIcmp(command.fd);
      case 'confine':
        return confine();
    }
  }

  private addPeer({ peer, settings, counters }: Extract<EngineCommand, { kind: 'add-peer' }>): void {
    try {
      const provider = this.providerFor(settings.suite);
      const crypto = {
        sealer: provider.createSealer(settings.suite, settings.sealKeys, this.random),
        opener: provider.createOpener(settings.suite, settings.openKeys),
      };
      this.engine.peering.addPeer(peer, settings, crypto, new Counters(counters));
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
      this.emit({ kind: 'refused', peer, error: error.detail });
    } finally {
      wipeKeys(settings.sealKeys);
      wipeKeys(settings.openKeys);
    }
  }

  /** One provider for each pair of algorithms. Throws OperatorError, with the place in `lines`, when none knows it. */
  private providerFor(suite: Suite, lines: DirectiveLines = {}): CryptoProvider {
    const name = `${suite.cipher.name} ${suite.digest.name}`;
    const known = this.providers.get(name);
    if (known !== undefined) return known;
    const { forcedCrypto: forced, legacyProvider: legacy } = this.data;
    try {
      const provider = selectProvider(suite, { forced, legacy, log: (line) => this.notes.push(line) });
      this.providers.set(name, provider);
      return provider;
    } catch (error) {
      throw locateThrown(error, lines);
    }
  }

  private openLink({
    link: id,
    udpFd,
    offload,
    raw,
    shared,
  }: Extract<EngineCommand, { kind: 'open-link' }>): void {
    const door = raw === undefined ? undefined : { sockets: raw, buffer: this.rawBuffer };
    const port = new LinuxUdpPort(udpFd, this.tables, offload, door);
    this.addLink(id, udpFd, port, shared);
  }

  private openStream({
    link,
    fd,
    remote,
    candidateOf,
  }: Extract<EngineCommand, { kind: 'open-stream' }>): void {
    this.addLink(link, fd, this.tcpPorts.open(fd, remote), false);
    if (candidateOf !== undefined) this.engine.peering.addCandidate(candidateOf, link);
  }

  private addLink(id: number, fd: number, port: TransportPort, shared: boolean): void {
    this.links.set(id, this.engine.peering.openLink(id, port, shared));
    this.poller.add(fd, Source.Link + id, { readable: true, writable: false });
  }

  private openIcmp(fd: number | undefined): void {
    if (fd === undefined) return this.engine.setIcmpPort(undefined);
    this.engine.setIcmpPort(new LinuxIcmpPort(fd, this.arena, this.icmpTarget));
    this.poller.add(fd, Source.Icmp, { readable: true, writable: false });
  }

  /** A link that the engine has closed is out of the poller with its descriptor. */
  private forgetLinks(): void {
    for (const [id, link] of this.links) {
      if (this.engine.peering.hasLink(id)) continue;
      this.links.delete(id);
      this.full.delete(link);
    }
  }

  private emit(event: EngineEvent): void {
    if (CLOSES_LINKS.has(event.kind)) this.forgetLinks();
    this.data.port.postMessage(event);
  }
}

function fdOf(port: TransportPort): number {
  return (port as LinuxUdpPort | LinuxTcpPort).fd;
}

/** Guards of translated ports below 1024 are all that still needs a right; everything else has come as a descriptor. */
function confine(): void {
  const { CAP_NET_BIND_SERVICE: bind } = Capability;
  limitCapabilities(isPermitted(bind) ? [bind] : []);
}

function deviceGone(name: string): OperatorError {
  return new OperatorError({
    code: 'TUN_GONE',
    what: `the device ${name} is gone`,
    why: 'somebody deleted it, or the network namespace it was moved to has ended',
    fix: 'find out who (NetworkManager, systemd-networkd, an operator) and start the tunnel again',
    exitCode: ExitCode.Failure,
  });
}

function describe(error: unknown): OperatorErrorDetail {
  if (error instanceof OperatorError) return error.detail;
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'DATA_PLANE_CRASHED', what, exitCode: ExitCode.Bug };
}

const data = workerData as WorkerData;
try {
  new Loop(data).run();
} catch (error) {
  data.port.postMessage({ kind: 'failed', error: describe(error) } satisfies EngineEvent);
}
data.port.close();
