/** `management-hold`: the start, and each restart, waits until a client says `hold release`. */

export interface HoldOptions {
  readonly on: boolean;
  /** Tells the client that is there, as `prompt` tells one that comes later. */
  readonly announce: (prompt: string) => void;
}

interface Waiting {
  readonly pauseSec: number;
  readonly release: () => void;
}

export class Hold {
  /** Whether the next restart waits. */
  on: boolean;
  private readonly announce: (prompt: string) => void;
  private readonly waiting = new Set<Waiting>();

  constructor({ on, announce }: HoldOptions) {
    this.on = on;
    this.announce = announce;
  }

  /** Undefined when nobody waits. */
  get prompt(): string | undefined {
    const [first] = this.waiting;
    return first && `>HOLD:Waiting for hold release:${first.pauseSec}`;
  }

  /**
   * `pauseSec` is what follows without the hold. Resolves when it is over, or at once: to true when the hold has taken the place of the
   * pause, which is stock's rule when the hold has not been switched off meanwhile.
   */
  async wait(pauseSec: number, ended: AbortSignal): Promise<boolean> {
    if (!this.on) return false;
    await new Promise<void>((resolve) => {
      const entry = { pauseSec, release: resolve };
      const end = () => {
        this.waiting.delete(entry);
        resolve();
      };
      if (ended.aborted) return resolve();
      ended.addEventListener('abort', end, { once: true });
      this.waiting.add(entry);
      if (this.waiting.size === 1) this.announce(this.prompt!);
    });
    return this.on;
  }

  /** Lets everybody go who waits. */
  release(): void {
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const { release } of waiting) release();
  }
}
