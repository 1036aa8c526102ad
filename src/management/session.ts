/**
 * One client: its password, its lines one after the other, and what it is told. A client that does not read loses the session: what
 * waits for it is bounded, and while much of it waits no command is obeyed.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import { noFindings } from '../config/findings.ts';
import { splitCommand } from '../config/lexer.ts';
import { escapeText } from '../control/escape.ts';
import type { Logger } from '../control/log.ts';
import { plural } from '../control/units.ts';
import { failure, type Command } from './command.ts';
import { COMMANDS, GREETING } from './commands.ts';
import type { Desk } from './desk.ts';
import { lineReader, MAX_LINE, type Received } from './line-reader.ts';

const PROMPT = 'ENTER PASSWORD:';
const MAX_TRIES = 3;
/** A client without the password may not keep others away for longer, milliseconds. */
const PASSWORD_LIMIT_MS = 60_000;
/** What is written gets so long to be sent when the session ends, milliseconds. */
const LAST_WORDS_MS = 500;

/** Bytes that wait to be read: from here on commands wait... */
const BUSY = 1 << 16;
/** ...and here the session ends: the longest answer, and a burst of log lines. */
const TOO_SLOW = 8 << 20;

const COMMAND_OF: ReadonlyMap<string, Command> = new Map(COMMANDS.map((row) => [row.name, row]));
const PLACE = { file: 'management', line: 1, column: 1 };

export interface SessionOptions {
  readonly socket: Socket;
  /** Who it is, for the log. */
  readonly from: string;
  readonly password: string | undefined;
  readonly desk: Desk;
  readonly log: Logger;
  /** The client may give commands, and has been greeted. */
  readonly onReady: () => void;
  /** `trusted`: it had been ready. */
  readonly onEnd: (trusted: boolean) => void;
}

export class Session {
  private readonly options: SessionOptions;
  private readonly cut = lineReader();
  private received: Received[] = [];
  private tries = 0;
  private trusted = false;
  private ended = false;
  private waiting = false;
  /** The command whose further lines are read. */
  private open: (() => readonly string[]) | undefined;
  private limit: NodeJS.Timeout | undefined;

  constructor(options: SessionOptions) {
    this.options = options;
  }

  /** Greets the client, or asks for the password. */
  start(): void {
    const { socket, password, log, from } = this.options;
    log.detail(`MANAGEMENT: Client connected from ${from}`);
    socket.on('data', (chunk: Buffer) => this.data(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.closed());
    if (password === undefined) {
      this.welcome();
    } else {
      socket.write(PROMPT);
      this.limit = setTimeout(() => this.reject('no password in time'), PASSWORD_LIMIT_MS).unref();
    }
    socket.resume();
  }

  /** Tells the client something it has not asked for; nothing before it is trusted. */
  notify(line: string): void {
    if (this.trusted) this.write([line]);
  }

  /** Ends the session when everything is written, or at most a moment later. */
  leave(): void {
    const { socket } = this.options;
    this.ended = true;
    this.received = [];
    const limit = setTimeout(() => socket.destroy(), LAST_WORDS_MS);
    socket.once('close', () => clearTimeout(limit));
    socket.end(() => socket.destroy());
  }

  private data(chunk: Buffer): void {
    if (this.ended) return;
    this.received.push(...this.cut(chunk));
    this.work();
  }

  private work(): void {
    const { socket } = this.options;
    while (this.received.length > 0) {
      if (socket.writableLength > BUSY) return this.wait();
      const line = this.received.shift()!;
      if (this.trusted) this.obey(line);
      else this.checkPassword(line);
    }
  }

  private wait(): void {
    const { socket } = this.options;
    if (this.waiting) return;
    this.waiting = true;
    socket.pause();
    socket.once('drain', () => {
      this.waiting = false;
      socket.resume();
      this.work();
    });
  }

  private checkPassword(line: Received): void {
    const { password = '' } = this.options;
    if (line !== 'too-long' && sameText(line.text, password)) {
      clearTimeout(this.limit);
      this.write(['SUCCESS: password is correct']);
      return this.welcome();
    }
    if (++this.tries < MAX_TRIES) this.options.socket.write(PROMPT);
    else this.reject(`${MAX_TRIES} wrong passwords`);
  }

  private welcome(): void {
    this.trusted = true;
    this.write([GREETING]);
    this.options.onReady();
  }

  private reject(why: string): void {
    const { log, from } = this.options;
    log.warn(`MANAGEMENT: Client from ${from} rejected: ${why}`);
    this.leave();
  }

  private obey(line: Received): void {
    if (line === 'too-long') return this.write(failure(`a line has at most ${MAX_LINE} bytes`));
    if (this.open !== undefined) return this.readOn(line.text);
    const findings = noFindings();
    const words = splitCommand({ text: line.text, where: PLACE }, findings);
    if (words === undefined) return this.write(failure(findings.errors[0].what));
    if (words.length > 0) this.dispatch(line.text, words);
  }

  private dispatch(text: string, [name, ...words]: readonly string[]): void {
    const { desk, log } = this.options;
    const command = COMMAND_OF.get(name);
    const shown = command?.secret === true ? `${name} [...]` : escapeText(text);
    if (command?.quiet !== true) log.debug(`MANAGEMENT: CMD '${shown}'`);
    if (command === undefined) return this.write(failure("unknown command, enter 'help' for more options"));
    if (words.length < command.least) return this.write(tooFew(command));
    const run = () => command.run(desk, words);
    if (command.multiline === true) this.open = run;
    else this.write(run());
  }

  private readOn(text: string): void {
    if (text !== 'END' || this.open === undefined) return;
    this.write(this.open());
    this.open = undefined;
  }

  private write(lines: readonly string[]): void {
    const { socket, log, from } = this.options;
    if (this.ended || lines.length === 0) return;
    socket.write(lines.map((line) => `${line}\r\n`).join(''));
    if (socket.writableLength <= TOO_SLOW) return;
    this.ended = true;
    socket.destroy();
    log.warn(`MANAGEMENT: Client from ${from} cut off: it does not read what it asked for`);
  }

  private closed(): void {
    const { log, onEnd } = this.options;
    clearTimeout(this.limit);
    this.ended = true;
    log.detail('MANAGEMENT: Client disconnected');
    onEnd(this.trusted);
  }
}

function tooFew({ name, least, open = false }: Command): readonly string[] {
  const count = plural(least, 'parameter');
  return failure(`the '${name}' command requires ${open ? 'at least ' : ''}${count}`);
}

/** In a time that tells nothing of the password, not even its length. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
