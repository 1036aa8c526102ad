/**
 * Entry of the data-plane worker thread: builds the engine over the real devices and runs the loop
 *
 *     wait (epoll: TUN, UDP, wake-up, next timer) → take commands → breathe
 *
 * until the engine has stopped. The thread blocks in epoll, not in Node's event loop: commands are taken from the
 * port by hand after a wake-up, events are posted to the main thread's event loop. Owns the TUN descriptor and the
 * UDP sockets it is given.
 */
import { receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads';
import type { CryptoProvider } from '../crypto/provider.ts';
import { randomPool } from '../crypto/random.ts';
import { selectProvider } from '../crypto/select.ts';
import { wipeKeys } from '../crypto/static-key.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import { NativeArena } from '../ffi/memory.ts';
import { Poller, Wakeup } from '../ffi/poller.ts';
import type { Coalescible } from '../packet/coalesce.ts';
import { LinuxTun } from '../tun/linux.ts';
import type { OpenTun } from '../tun/open.ts';
import { LinuxUdpPort, UdpTables } from '../udp/linux.ts';
import { systemClock } from './clock.ts';
import { Counter, Counters } from './counters.ts';
import { DATAGRAM_SLOTS, Engine, Ready } from './engine.ts';
import type { EngineCommand, EngineEvent, PeerSettings, WorkerError } from './messages.ts';

export interface WorkerData {
  readonly port: MessagePort;
  readonly tun: OpenTun;
  readonly wakeupFd: number;
  readonly counters: SharedArrayBuffer;
  readonly settings: PeerSettings;
  readonly legacyProvider: boolean;
  readonly forcedCrypto: string | undefined;
}

/** Keys of the poller. */
const Source = { Wakeup: 0, Tun: 1, Udp: 2 } as const;

/** epoll_wait takes an int; an idle tunnel wakes up at least this often. */
const MAX_WAIT_MS = 3_600_000;

class Loop {
  private readonly data: WorkerData;
  private readonly poller = new Poller();
  private readonly wakeup: Wakeup;
  private readonly tables: UdpTables;
  private readonly engine: Engine;
  private readonly provider: CryptoProvider;
  private readonly tun: LinuxTun;
  private port: LinuxUdpPort | undefined;
  private readonly notes: string[] = [];
  private blocked = false;
  private readonly counters: Counters;
  private udpFallbacks = 0;
  private superPackets: Coalescible;
  private readonly told = new Set<string>();

  constructor(data: WorkerData) {
    this.data = data;
    const { settings } = data;
    this.provider = selectProvider(settings.suite, {
      forced: data.forcedCrypto,
      legacy: data.legacyProvider,
      log: (line) => this.notes.push(line),
    });
    const size = Engine.arenaSize(settings) + UdpTables.arenaSize(DATAGRAM_SLOTS) + LinuxTun.arenaSize();
    const arena = new NativeArena(size);
    this.tables = new UdpTables(arena, DATAGRAM_SLOTS);
    this.tun = new LinuxTun(data.tun, arena);
    this.wakeup = new Wakeup(data.wakeupFd);
    this.counters = new Counters(data.counters);
    this.superPackets = this.tun.superPackets;
    const random = randomPool();
    this.engine = new Engine({
      arena,
      tun: this.tun,
      crypto: {
        sealer: this.provider.createSealer(settings.suite, settings.sealKeys, random),
        opener: this.provider.createOpener(settings.suite, settings.openKeys),
      },
      settings,
      clock: systemClock,
      random,
      counters: this.counters,
      emit: (event) => this.emit(event),
    });
    wipeKeys(settings.sealKeys);
    wipeKeys(settings.openKeys);
    this.poller.add(this.wakeup.fd, Source.Wakeup, { readable: true, writable: false });
    this.poller.add(this.tun.fd, Source.Tun, { readable: true, writable: false });
  }

  run(): void {
    this.emit({ kind: 'ready', providerDescription: this.provider.description, notes: this.notes });
    let more = false;
    let ready: number = Ready.Nothing;
    while (this.engine.state !== 'stopped') {
      ready = this.wait(more ? 0 : this.engine.nextTimeoutMs()) | (more ? ready : Ready.Nothing);
      more = this.engine.breathe(ready);
      this.watchWritable();
      this.watchOffloads();
    }
    this.poller.close();
    this.provider.dispose();
  }

  private wait(timeoutMs: number): number {
    const count = this.poller.wait(Math.min(Math.ceil(timeoutMs), MAX_WAIT_MS));
    let ready: number = Ready.Nothing;
    for (let i = 0; i < count; i++) {
      const key = this.poller.key(i);
      if (key === Source.Wakeup) this.takeCommands();
      else if (key === Source.Tun) {
        // The kernel's answer for a device that is unregistered; for one that is down there is none.
        if (this.poller.failed(i)) throw deviceGone(this.tun.name);
        ready |= Ready.Tun;
      } else ready |= Ready.Udp | Ready.UdpWritable;
    }
    return ready;
  }

  /** While datagrams wait for the socket, it is watched for writability and the TUN device is left alone. */
  private watchWritable(): void {
    if (this.engine.blocked === this.blocked || this.port === undefined) return;
    this.blocked = this.engine.blocked;
    this.poller.modify(this.port.fd, Source.Udp, { readable: true, writable: this.blocked });
    this.poller.modify(this.tun.fd, Source.Tun, { readable: !this.blocked, writable: false });
  }

  /** Counts offloads that failed, and tells the first time of each kind. */
  private watchOffloads(): void {
    const fallbacks = this.port?.fallbacks ?? 0;
    if (fallbacks > this.udpFallbacks) {
      this.counters.add(Counter.OffloadFallbacks, fallbacks - this.udpFallbacks);
      this.offloadFailed('UDP GSO');
    }
    this.udpFallbacks = fallbacks;
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
    switch (command.kind) {
      case 'connect':
        this.port = new LinuxUdpPort(command.udpFd, this.tables, command.offload);
        this.poller.add(command.udpFd, Source.Udp, { readable: true, writable: false });
        this.engine.connect(this.port, command.remotes, command.mss);
        return;
      case 'restart':
        return this.engine.restart(command.reason);
      case 'stop':
        return this.engine.stop();
    }
  }

  private emit(event: EngineEvent): void {
    // The socket's descriptor is closed with its port, which also takes it out of the poller.
    if (event.kind === 'restarting') {
      this.port = undefined;
      if (this.blocked) this.poller.modify(this.tun.fd, Source.Tun, { readable: true, writable: false });
      this.blocked = false;
    }
    this.data.port.postMessage(event);
  }
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

function describe(error: unknown): WorkerError {
  if (error instanceof OperatorError) {
    const { code, what, why, fix, exitCode } = error;
    return { code, what, why, fix, exitCode };
  }
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'DATA_PLANE_CRASHED', what, why: undefined, fix: undefined, exitCode: ExitCode.Bug };
}

const data = workerData as WorkerData;
try {
  new Loop(data).run();
} catch (error) {
  data.port.postMessage({ kind: 'failed', error: describe(error) } satisfies EngineEvent);
}
data.port.close();
