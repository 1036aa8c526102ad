/**
 * Waits for descriptors. The main thread has no poller of its own: the data plane, which waits in one anyway, tells when
 * a descriptor is ready.
 */
import type { EngineCommand } from '../engine/messages.ts';

export interface WatchOptions {
  readonly fd: number;
  readonly writable: boolean;
  /** Milliseconds; Infinity waits for ever. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export class Watcher {
  private readonly send: (command: EngineCommand) => void;
  private readonly waiting = new Map<number, () => void>();
  private nextId = 0;

  constructor(send: (command: EngineCommand) => void) {
    this.send = send;
  }

  /** True when the descriptor is ready, false after the timeout or an abort. It stays the caller's to close. */
  ready({ fd, writable, timeoutMs, signal }: WatchOptions): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const id = this.nextId++;
      const end = (ready: boolean): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', aborted);
        this.waiting.delete(id);
        this.send({ kind: 'unwatch', fd });
        resolve(ready);
      };
      const aborted = (): void => end(false);
      const timer = Number.isFinite(timeoutMs) ? setTimeout(() => end(false), timeoutMs) : undefined;
      signal.addEventListener('abort', aborted);
      this.waiting.set(id, () => end(true));
      this.send({ kind: 'watch', id, fd, writable });
    });
  }

  /** The data plane says so; nobody may be waiting any more. */
  isReady(id: number): void {
    this.waiting.get(id)?.();
  }
}
