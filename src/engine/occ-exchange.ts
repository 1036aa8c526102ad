/**
 * The exchange of option strings with the peer (OCC): we ask 10 s after a start and every 10 s until answered, at
 * most 11 times, and always answer. With no ping and no traffic, this is what first brings a session up.
 */

const REQUEST_INTERVAL_MS = 10_000;
const MAX_REQUESTS = 11;
/** A peer repeats its exit message every second; one restart answers them all. */
const EXIT_REPEAT_MS = 3_000;

/** Loads asked for that wait to be sent; a peer that measures sends its requests one by one. */
const MAX_LOADS = 32;

/** Answers a peer can ask for, loads aside. */
export const OccAnswer = { None: 0, Options: 1, Mtu: 2 } as const;
export type OccAnswer = (typeof OccAnswer)[keyof typeof OccAnswer];

export interface LoadRequest {
  /** Datagram size the peer wants to see, before padding: UDP payload bytes. */
  readonly size: number;
  /** IP packet it is to come in, bytes; 0 for whatever comes of it, -1 when the peer does not know of this. */
  readonly total: number;
}

export class OccExchange {
  /** Our own option string, sent in replies. */
  options = '';
  /** The answer we owe; only the newest request counts. */
  owed: OccAnswer = OccAnswer.None;
  readonly loads: LoadRequest[] = [];
  private readonly enabled: boolean;
  private requestAtMs = Infinity;
  private requestsLeft = 0;
  private lastExitMs = -Infinity;

  constructor(enabled: boolean) {
    this.enabled = enabled;
  }

  /** A `lost` peer gets no packets until it is heard: it is asked at once. */
  start(options: string, nowMs: number, lost: boolean): void {
    this.options = options;
    this.owed = OccAnswer.None;
    this.loads.length = 0;
    this.requestsLeft = this.enabled ? MAX_REQUESTS : 0;
    this.requestAtMs = this.enabled ? nowMs + (lost ? 0 : REQUEST_INTERVAL_MS) : Infinity;
  }

  owe(answer: OccAnswer): void {
    this.owed = answer;
  }

  oweLoad(load: LoadRequest): void {
    if (this.loads.length < MAX_LOADS) this.loads.push(load);
  }

  get owes(): boolean {
    return this.owed !== OccAnswer.None || this.loads.length > 0;
  }

  requestDueMs(): number {
    return this.requestAtMs;
  }

  requested(nowMs: number): void {
    this.requestsLeft--;
    this.requestAtMs = this.requestsLeft > 0 ? nowMs + REQUEST_INTERVAL_MS : Infinity;
  }

  answered(): void {
    this.requestAtMs = Infinity;
  }

  /** The peer says it exits; returns false for a repetition of what was already acted on. */
  peerExits(nowMs: number): boolean {
    const fresh = nowMs - this.lastExitMs > EXIT_REPEAT_MS;
    this.lastExitMs = nowMs;
    return fresh;
  }
}
