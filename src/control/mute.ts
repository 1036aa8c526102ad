/**
 * OpenVPN's `mute n`: of warnings of one kind that follow each other only the first n are logged, and the next other
 * line is preceded by how many there were. The kind of a warning is its `reason` or `code`, or else its text.
 */

/** A log line as pino writes it. */
interface Line {
  readonly level: string;
  readonly time: string;
  readonly tunnel?: string;
  readonly peer?: string;
  readonly msg?: string;
  readonly reason?: string;
  readonly code?: string;
}

const MUTED_LEVELS: ReadonlySet<string> = new Set(['warn', 'error']);

/** `limit` may change at any time; 0 passes all. */
export interface Mute {
  limit: number;
}

/** Returns a function from a JSON line to the lines to log in its place. */
export function muter(mute: Readonly<Mute>): (line: string) => readonly string[] {
  let kind: string | undefined;
  let seen = 0;
  return (text) => {
    const { limit } = mute;
    if (limit === 0) return [text];
    const line = JSON.parse(text) as Line;
    const note = (msg: string) =>
      `${JSON.stringify({ level: 'info', time: line.time, tunnel: line.tunnel, peer: line.peer, msg })}\n`;
    const same = MUTED_LEVELS.has(line.level) && kindOf(line) === kind;
    if (same) {
      seen += 1;
      if (seen <= limit) return [text];
      return seen === limit + 1 ? [note('NOTE: --mute triggered...')] : [];
    }
    const suppressed = Math.max(0, seen - limit);
    kind = MUTED_LEVELS.has(line.level) ? kindOf(line) : undefined;
    seen = 1;
    if (suppressed === 0) return [text];
    const summary = `${suppressed} variation(s) on previous ${limit} message(s) suppressed by --mute`;
    return [note(summary), text];
  };
}

function kindOf({ reason, code, msg }: Line): string {
  return reason ?? code ?? msg ?? '';
}
