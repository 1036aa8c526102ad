/** A raw client of the management interface, and what is the same in the answers of stock and of tsvpn. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PATIENCE_MS } from './process.ts';

/** Both answer this with one line of their own, whatever came before. */
const MARK = { send: 'needstr x y', answer: 'ERROR: no needstr-string is currently needed at this time\r\n' };

export interface Step {
  readonly send: string;
  /** Lines without CRLF. */
  readonly answer: readonly string[];
}

export class ManagementClient {
  private readonly socket: Socket;
  private text = '';
  ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1').on('data', (text: string) => (this.text += text));
    socket.on('error', () => (this.ended = true));
    socket.on('close', () => (this.ended = true));
  }

  /** Tries until somebody listens. */
  static async connect(where: string | number, timeoutMs = PATIENCE_MS): Promise<ManagementClient> {
    for (const deadline = Date.now() + timeoutMs; ;) {
      try {
        const socket = typeof where === 'string' ? connect(where) : connect(where, '127.0.0.1');
        await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
        return new ManagementClient(socket);
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await sleep(50);
      }
    }
  }

  /** Everything received and not taken yet. */
  get received(): string {
    return this.text;
  }

  write(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Takes everything up to the end of the line where the pattern stands. */
  async until(pattern: RegExp, timeoutMs = PATIENCE_MS): Promise<string> {
    for (const deadline = Date.now() + timeoutMs; ;) {
      const found = pattern.exec(this.text);
      const end = found === null ? -1 : this.text.indexOf('\n', found.index + found[0].length - 1) + 1;
      if (found !== null && end > 0) {
        const taken = this.text.slice(0, end);
        this.text = this.text.slice(end);
        return taken;
      }
      if (this.ended || Date.now() > deadline)
        throw new Error(`no ${pattern} in ${JSON.stringify(this.text)}`);
      await sleep(10);
    }
  }

  /** Resolves when exactly this has been received, and not taken. */
  async prompted(text: string, timeoutMs = PATIENCE_MS): Promise<void> {
    for (const deadline = Date.now() + timeoutMs; this.text !== text; await sleep(10)) {
      if (this.ended || Date.now() > deadline) throw new Error(`no ${text} but ${JSON.stringify(this.text)}`);
    }
  }

  /** The lines that answer this command, and whatever was told before. */
  async ask(command: string): Promise<string[]> {
    this.write(`${command}\n${MARK.send}\n`);
    const taken = await this.until(/no needstr-string is currently needed/);
    return taken.slice(0, -MARK.answer.length).split('\r\n').slice(0, -1);
  }

  /** Resolves when the other end has closed the connection. */
  async closed(timeoutMs = PATIENCE_MS): Promise<void> {
    for (const deadline = Date.now() + timeoutMs; !this.ended; await sleep(10)) {
      if (Date.now() > deadline) throw new Error(`still open after ${JSON.stringify(this.text)}`);
    }
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  destroy(): void {
    this.socket.destroy();
  }
}

const SAME: readonly (readonly [RegExp, string])[] = [
  [/^(OpenVPN Version: OpenVPN 2\.6\.14 ).*/, '$1...'],
  [/^Management Interface for .*/, 'Management Interface for ...'],
  [/^SUCCESS: pid=\d+$/, 'SUCCESS: pid=N'],
  [/^((?:>STATE:)?)\d{10},([A-Z_]{2,},)/, '$1T,$2'],
  [/^Updated,\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/, 'Updated,T'],
  [/^((?:TUN|TCP|Auth|pre-|post-).* bytes),\d+$/, '$1,N'],
  [/bytesin=\d+,bytesout=\d+/, 'bytesin=N,bytesout=N'],
  [/^>BYTECOUNT:\d+,\d+$/, '>BYTECOUNT:N,N'],
  [/^(\[\d+\]) .*/, '$1 ...'],
  [/^\d{10},(?:[IWNFD]?),.*/, 'LOG LINE'],
  [/^\d{10},(hello|foo)/, 'T,$1'],
  // Faults in the words of a line are told in words of their own.
  [/^ERROR: (?:Options (?:error|warning)|a backslash|no closing|in the command): .*/, 'ERROR: SYNTAX'],
  [/^ERROR: (?:a line has|in the command).*/, 'ERROR: SYNTAX'],
];

/** Lines with what differs from run to run, and between the two programs, taken out. */
export function sameShape(lines: readonly string[]): string[] {
  const plain = lines
    .filter((line) => !line.startsWith('>LOG:'))
    .map((line) => SAME.reduce((text, [from, to]) => text.replace(from, to), line));
  return collapseHelp(plain.filter((line, i) => line !== 'LOG LINE' || plain[i - 1] !== line));
}

/** Everybody explains the commands in words of their own. */
function collapseHelp(lines: readonly string[]): string[] {
  const from = lines.indexOf('Commands:');
  const end = lines.indexOf('END', from);
  return from < 0 ? [...lines] : [...lines.slice(0, from + 1), 'HELP', ...lines.slice(end)];
}
