/**
 * What is asked of a client before a remote is used: `>REMOTE:` and `>PROXY:`. One question at a time is open, whoever asks; it stays
 * open when the client goes, and the next one is asked it.
 */
import type { RemoteAnswer, RemoteEntry } from '../control/overseer.ts';

type Kind = 'REMOTE' | 'PROXY';

interface Question {
  readonly kind: Kind;
  readonly prompt: string;
  readonly answer: (answer: RemoteAnswer) => void;
}

export class Questions {
  private readonly announce: (prompt: string) => void;
  /** The first of them is the open one. */
  private queue: Question[] = [];

  constructor(announce: (prompt: string) => void) {
    this.announce = announce;
  }

  /** Of the open question. */
  get prompt(): string | undefined {
    return this.queue.at(0)?.prompt;
  }

  remote({ host, port, proto }: RemoteEntry, ended: AbortSignal): Promise<RemoteAnswer> {
    return this.ask('REMOTE', `>REMOTE:${host},${port},${proto}`, ended);
  }

  /** Resolves when the client wants no proxy. */
  async proxy({ host, proto }: RemoteEntry, ended: AbortSignal): Promise<void> {
    await this.ask('PROXY', `>PROXY:1,${proto.startsWith('tcp') ? 'TCP' : 'UDP'},${host}`, ended);
  }

  /** False when that is not the open question. */
  answer(kind: Kind, answer: RemoteAnswer): boolean {
    if (this.queue.at(0)?.kind !== kind) return false;
    this.queue.shift()?.answer(answer);
    // What is said to this answer comes first.
    queueMicrotask(() => this.announceFirst());
    return true;
  }

  /** After the end of who asks, the answer is `accept`. */
  private ask(kind: Kind, prompt: string, ended: AbortSignal): Promise<RemoteAnswer> {
    return new Promise((resolve) => {
      if (ended.aborted) return resolve('accept');
      const question = { kind, prompt, answer: resolve };
      ended.addEventListener('abort', () => this.withdraw(question), { once: true });
      this.queue.push(question);
      if (this.queue.length === 1) this.announceFirst();
    });
  }

  private withdraw(question: Question): void {
    const open = this.queue.at(0);
    this.queue = this.queue.filter((each) => each !== question);
    question.answer('accept');
    if (open === question) this.announceFirst();
  }

  private announceFirst(): void {
    if (this.prompt !== undefined) this.announce(this.prompt);
  }
}
