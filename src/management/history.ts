/** Lines kept for clients, and shown to the one that is there as they come: states, the log, echo. */

/** Stock keeps so many states, and so many echoes. */
export const SHORT_HISTORY = 100;

export class History {
  /** The client wants lines as they come. */
  live = false;
  /** `log` in `real-time log notification`. */
  readonly name: string;
  private readonly limit: number;
  private readonly show: (line: string) => void;
  private lines: string[] = [];

  /** Keeps the last `limit` lines; `show` gets each line while `live`. */
  constructor(name: string, limit: number, show: (line: string) => void) {
    this.name = name;
    this.limit = limit;
    this.show = show;
  }

  add(line: string): void {
    this.lines.push(line);
    // Twice as many for a while, so that dropping the oldest costs nothing on average.
    if (this.lines.length >= 2 * this.limit) this.lines = this.lines.slice(-this.limit);
    if (this.live) this.show(`>${this.name.toUpperCase()}:${line}`);
  }

  /** Oldest first. */
  last(count = this.limit): readonly string[] {
    return this.lines.slice(-Math.min(count, this.limit));
  }
}
