/** The main thread's handle on the data-plane worker: starts it, sends it commands, hands on its events and answers. */
import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import { wipeKeys } from '../crypto/static-key.ts';
import { Counters } from '../engine/counters.ts';
import type {
  EngineCommand,
  EngineEvent,
  EngineQuery,
  EngineSettings,
  PeerSettings,
} from '../engine/messages.ts';
import type { WorkerData } from '../engine/worker.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import { Wakeup } from '../ffi/poller.ts';
import type { CompiledTables } from '../route/compile.ts';
import { closeTun, type OpenTun } from '../tun/open.ts';

/** Compiled entry: worker threads load JavaScript only (docs/adr/0007). */
const WORKER_ENTRY = new URL('../engine/worker.js', import.meta.url);

/** The data plane answers between two batches; one that takes longer than this hangs. */
const QUERY_TIMEOUT_MS = 5000;

export interface DataPlaneOptions {
  /** The worker owns and closes the descriptor from here on. */
  readonly tun: OpenTun;
  readonly settings: EngineSettings;
  /** Tested before `start` resolves. */
  readonly suites: WorkerData['suites'];
  readonly legacyProvider: boolean;
  readonly forcedCrypto: string | undefined;
  readonly onEvent: (event: EngineEvent) => void;
  /** The worker ended without being told to. */
  readonly onCrash: (error: OperatorError) => void;
}

interface PendingQuery {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: OperatorError) => void;
  readonly timer: NodeJS.Timeout;
}

export class DataPlane {
  /** Of the device, and of packets that are no peer's. */
  readonly counters: Counters;
  /** For logs and `status`, for example `OpenSSL 3.0.19`; set when `start` resolves. */
  providerDescription = '';
  private readonly wakeup = new Wakeup();
  private readonly commands: MessageChannel['port1'];
  private readonly worker: Worker;
  private readonly exited: Promise<unknown>;
  private readonly options: DataPlaneOptions;
  private readonly queries = new Map<number, PendingQuery>();
  private nextQuery = 0;
  /** Why a faster crypto provider was passed over; set when `start` resolves. */
  notes: readonly string[] = [];
  private ready = false;
  /** The engine has stopped and closed the device. */
  private stopped = false;
  private failed = false;

  private constructor(options: DataPlaneOptions) {
    this.options = options;
    const shared = Counters.allocate();
    this.counters = new Counters(shared);
    const { port1, port2 } = new MessageChannel();
    this.commands = port1;
    const { tun, settings, suites, legacyProvider, forcedCrypto } = options;
    const workerData: WorkerData = {
      port: port2,
      tun,
      wakeupFd: this.wakeup.fd,
      counters: shared,
      settings,
      suites,
      legacyProvider,
      forcedCrypto,
    };
    this.worker = new Worker(WORKER_ENTRY, { workerData, transferList: [port2] });
    this.exited = once(this.worker, 'exit');
  }

  /** Starts the worker; resolves when its crypto has passed the self-test. Rejects with OperatorError. */
  static async start(options: DataPlaneOptions): Promise<DataPlane> {
    const plane = new DataPlane(options);
    try {
      await plane.untilReady();
    } catch (error) {
      await plane.dispose();
      throw error;
    }
    plane.worker.on('error', (error) => plane.crashed(error));
    return plane;
  }

  private untilReady(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.worker.once('error', reject);
      this.commands.on('message', (event: EngineEvent) => {
        if (event.kind === 'ready') {
          this.providerDescription = event.providerDescription;
          this.notes = event.notes;
          this.ready = true;
          resolve();
        } else if (event.kind === 'failed') {
          if (this.ready) this.crashed(new OperatorError(event.error));
          else reject(new OperatorError(event.error));
        } else if (event.kind === 'answer') {
          this.answered(event.id, event.result);
        } else {
          if (event.kind === 'stopped') this.stopped = true;
          this.options.onEvent(event);
        }
      });
    });
  }

  send(command: EngineCommand, transfer: readonly ArrayBuffer[] = []): void {
    if (this.stopped || this.failed) return;
    this.commands.postMessage(command, transfer);
    this.wakeup.signal();
  }

  /** Takes the arrays over: the worker has them without a copy. */
  sendTables(tables: CompiledTables): void {
    const { routes, sources, former } = tables;
    const arrays = [routes, sources].flatMap(({ ipv4, ipv6, ...rest }) =>
      [{ former }, ipv4, ipv6, rest].flatMap((part) => Object.values(part) as Int32Array<ArrayBuffer>[]),
    );
    this.send({ kind: 'tables', tables }, [...new Set(arrays.map(({ buffer }) => buffer))]);
  }

  /** The keys in `settings` are overwritten: the worker has got copies. */
  addPeer(peer: number, settings: PeerSettings, counters: SharedArrayBuffer): void {
    this.send({ kind: 'add-peer', peer, settings, counters });
    wipeKeys(settings.sealKeys);
    wipeKeys(settings.openKeys);
  }

  /** Rejects with OperatorError when no answer comes in time. */
  query(query: EngineQuery, timeoutMs = QUERY_TIMEOUT_MS): Promise<unknown> {
    const id = this.nextQuery++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.unanswered(id), timeoutMs);
      this.queries.set(id, { resolve, reject, timer });
      this.send({ kind: 'query', id, query });
    });
  }

  private answered(id: number, result: unknown): void {
    const pending = this.queries.get(id);
    this.queries.delete(id);
    clearTimeout(pending?.timer);
    pending?.resolve(result);
  }

  private unanswered(id: number): void {
    const pending = this.queries.get(id);
    this.queries.delete(id);
    clearTimeout(pending?.timer);
    pending?.reject(
      new OperatorError({
        code: 'DATA_PLANE_SILENT',
        what: 'the data plane does not answer',
        why: 'it is ending, or hangs',
        fix: 'try again; if it stays so, end the tunnel and start it again',
        exitCode: ExitCode.Failure,
      }),
    );
  }

  /** Ends the worker after its exit notifications, at most `graceMs` later than those take. Idempotent. */
  async stop(graceMs: number): Promise<void> {
    this.send({ kind: 'stop' });
    const timer = setTimeout(() => {
      void this.worker.terminate();
      this.wakeup.signal();
    }, graceMs);
    await this.exited;
    clearTimeout(timer);
    await this.dispose();
  }

  /** A worker that ended on its own, not by a stop, has left the device open. */
  private async dispose(): Promise<void> {
    await this.exited;
    if (!this.stopped) closeTun(this.options.tun);
    this.stopped = true;
    for (const id of this.queries.keys()) this.unanswered(id);
    this.commands.close();
    this.wakeup.close();
  }

  private crashed(error: Error): void {
    if (this.stopped || this.failed) return;
    this.failed = true;
    this.options.onCrash(
      error instanceof OperatorError
        ? error
        : new OperatorError({
            code: 'DATA_PLANE_CRASHED',
            what: `the data plane ended unexpectedly: ${error.message}`,
            fix: 'please report this, with the log above',
            exitCode: ExitCode.Bug,
            cause: error,
          }),
    );
  }
}
