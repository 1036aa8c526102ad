/**
 * OpenVPN's management interface: programs watch a gateway and give it commands, line by line, as they do stock OpenVPN.
 *
 *     listener → session → commands     what a client asks (desk.ts: what commands work on)
 *     gateway → here → session          states, log lines, questions (control/overseer.ts)
 *
 * One client at a time; a few more wait, in the order they came.
 */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { ManagementConfig } from '../config/model.ts';
import type { Logger, LogLine } from '../control/log.ts';
import type { Overseer, RemoteAnswer, RemoteEntry, StateChange } from '../control/overseer.ts';
import type { Desk, Managed } from './desk.ts';
import { History, SHORT_HISTORY } from './history.ts';
import { Hold } from './hold.ts';
import { openDoor, type Allowed, type Door } from './listener.ts';
import { Questions } from './questions.ts';
import { Session } from './session.ts';

export type { Managed } from './desk.ts';

/** Clients that wait for the one that is there; further ones are turned away. */
const MAX_WAITING = 4;
/** Characters of a log line that are kept. */
const MAX_LOG_TEXT = 1000;

const FLAGS: Readonly<Record<LogLine['level'], string>> = {
  fatal: 'F',
  error: 'N',
  warn: 'W',
  info: 'I',
  debug: 'D',
};

export interface ManagementOptions {
  readonly config: ManagementConfig;
  readonly managed: Managed;
  /** `management-client-user` and `-group`. */
  readonly allowed: Allowed;
  readonly log: Logger;
}

export class Management implements Overseer {
  private readonly options: ManagementOptions;
  private readonly desk: Desk;
  private password: string | undefined;
  private door: Door | undefined;
  private session: Session | undefined;
  private waiting: { readonly socket: Socket; readonly from: string }[] = [];
  private counting: NodeJS.Timeout | undefined;
  private closing = false;
  private failed = false;
  private sessionEnded: () => void = () => undefined;

  constructor(options: ManagementOptions) {
    this.options = options;
    const { config, managed } = options;
    const tell = (line: string) => this.session?.notify(line);
    this.desk = {
      managed,
      states: new History('state', SHORT_HISTORY, tell),
      log: new History('log', config.logCache, tell),
      echo: new History('echo', SHORT_HISTORY, tell),
      hold: new Hold({ on: config.hold, announce: tell }),
      questions: new Questions(tell),
      authRetry: 'none',
      envFilter: 0,
      countBytes: (seconds) => this.countBytes(seconds),
      leave: () => this.session?.leave(),
    };
    for (const text of config.echoes) this.desk.echo.add(`${unixTime()},${text}`);
    this.state({ name: 'CONNECTING' });
  }

  /** Lets clients in. Throws OperatorError when the place cannot be had. */
  async open(): Promise<void> {
    const { config, allowed, log } = this.options;
    if (config.passwordFile !== undefined) this.password = readPassword(config.passwordFile);
    this.door = await openDoor({
      config,
      allowed,
      log,
      onClient: (socket, from) => this.admit(socket, from),
    });
  }

  /** Before the start, when the config says so: resolves when a client says so, or `ended`. */
  async holdStart(ended: AbortSignal): Promise<void> {
    if (this.desk.hold.on) this.options.log.info('Need hold release from management interface, waiting...');
    await this.desk.hold.wait(0, ended);
  }

  logged({ timeMs, level, text }: LogLine): void {
    const time = Math.floor(timeMs / 1000);
    for (const line of text.split('\n')) {
      this.desk.log.add(`${time},${FLAGS[level]},${line.slice(0, MAX_LOG_TEXT)}`);
    }
    if (level === 'fatal') this.fatal(text);
  }

  /** The process ends because of this; what comes of it is not told. */
  fatal(text: string): void {
    if (this.failed) return;
    this.failed = true;
    this.session?.notify(`>FATAL:${text.split('\n', 1)[0].slice(0, MAX_LOG_TEXT)}`);
  }

  state(change: StateChange): void {
    this.desk.states.add(stateLine(change, unixTime()));
  }

  upDown(direction: 'UP' | 'DOWN', environment: Readonly<Record<string, string>>): void {
    if (!this.options.config.upDown) return;
    this.session?.notify(`>UPDOWN:${direction}`);
    for (const [name, value] of Object.entries(environment)) {
      this.session?.notify(`>UPDOWN:ENV,${name}=${oneLine(value)}`);
    }
    this.session?.notify('>UPDOWN:ENV,END');
  }

  hold(pauseSec: number, ended: AbortSignal): Promise<boolean> {
    return this.desk.hold.wait(pauseSec, ended);
  }

  async choose(remote: RemoteEntry, ended: AbortSignal): Promise<RemoteAnswer> {
    const { queryRemote, queryProxy } = this.options.config;
    const answer = queryRemote ? await this.desk.questions.remote(remote, ended) : 'accept';
    if (queryProxy && answer !== 'skip') await this.desk.questions.proxy(remote, ended);
    return answer;
  }

  /** Resolves when the client has got everything, or has had its time. */
  async close(): Promise<void> {
    this.closing = true;
    this.door?.close();
    this.countBytes(0);
    for (const { socket } of this.waiting) socket.destroy();
    const { session } = this;
    if (session === undefined) return;
    await new Promise<void>((resolve) => {
      this.sessionEnded = resolve;
      session.leave();
    });
  }

  private admit(socket: Socket, from: string): void {
    // Without this, an error of a socket that waits would be nobody's.
    socket.on('error', () => undefined);
    if (this.session !== undefined && this.waiting.length >= MAX_WAITING) return void socket.destroy();
    this.waiting.push({ socket, from });
    if (this.session === undefined) this.serveNext();
  }

  private serveNext(): void {
    const next = this.waiting.shift();
    if (next === undefined || this.closing) return;
    const { log } = this.options;
    this.session = new Session({
      ...next,
      password: this.password,
      desk: this.desk,
      log,
      onReady: () => this.greet(),
      onEnd: (trusted) => this.ended(trusted),
    });
    this.session.start();
  }

  private greet(): void {
    const prompt = this.desk.hold.prompt ?? this.desk.questions.prompt;
    if (prompt !== undefined) this.session?.notify(prompt);
  }

  /** What the client has switched on is off for the next one. */
  private ended(trusted: boolean): void {
    const { states, log, echo } = this.desk;
    for (const history of [states, log, echo]) history.live = false;
    this.countBytes(0);
    this.session = undefined;
    this.sessionEnded();
    if (trusted && !this.closing) this.disconnected();
    this.serveNext();
  }

  private disconnected(): void {
    const { config, managed } = this.options;
    if (config.signal) managed.raise('SIGUSR1');
    else if (config.connects) managed.raise('SIGTERM');
  }

  private countBytes(seconds: number): void {
    clearInterval(this.counting);
    if (seconds === 0) return;
    const tell = () => {
      const traffic = this.options.managed.traffic();
      if (traffic !== undefined)
        this.session?.notify(`>BYTECOUNT:${traffic.udpRead.bytes},${traffic.udpWrite.bytes}`);
    };
    this.counting = setInterval(tell, Math.min(seconds, 1_000_000) * 1000).unref();
  }
}

function unixTime(): number {
  return Math.floor(Date.now() / 1000);
}

function stateLine({ name, detail, ipv4, ipv6, remote, local }: StateChange, time: number): string {
  const fields = [time, name, detail, ipv4, remote?.address, remote?.port, local?.address, local?.port];
  const line = fields.map((field) => field ?? '').join(',');
  return ipv6 === undefined ? line : `${line},${ipv6}`;
}

/** Checked when the config was loaded: the file was there, and not empty. */
function readPassword(path: string): string {
  return readFileSync(path, 'utf8').split(/\r?\n/, 1)[0];
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]/g, ' ');
}
