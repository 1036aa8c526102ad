/**
 * Measures the path MTU to one peer, both ways, with OCC's load requests: the peer answers each with a load of the size
 * asked for, which may be stock OpenVPN as well as tsvpn.
 *
 *   1 hello     a small request: does the peer answer, how fast, how does it count, what can it do?
 *   2 forward   requests in IP packets of the sizes to try; each asks for a load of another small size, which tells
 *               which of them have arrived
 *   3 reverse   tsvpn is asked to send loads in IP packets of the sizes to try; of stock, loads as large as a datagram can
 *               be are asked for, and what does not come whole does not fit
 *
 * Without raw sockets, requests and loads are padded instead: exact to one block of the cipher, and no longer than stock
 * takes. What is to be sent is handed in, what has come as well; no clock, no socket.
 */
import type { ChannelShape } from '../protocol/mtu.ts';
import { datagramSize, outerHeaders, outerSize, payloadIn } from '../protocol/mtu.ts';
import { EXACT_LOADS, LOAD_REQUEST_SIZE } from '../protocol/occ.ts';
import { PathMtuSearch } from '../protocol/path-mtu-search.ts';
import type { SizedSend } from '../transport/port.ts';
import { ProbeTrain } from './probe-train.ts';

/** IPv6's minimum, tunnels and clouds, GCP, PPPoE, Ethernet, jumbo frames. */
const LIKELY = [1280, 1400, 1420, 1460, 1492, 1500, 9000];
const MAX_IP_PACKET = 65535;
/** Longest datagram that stock receives with an ordinary `tun-mtu`, and sends. */
const STOCK_DATAGRAM = 1768;
/** A measurement ends after this time with what it has, milliseconds. */
const TIME_LIMIT_MS = 4500;
const HELLO_INTERVAL_MS = 300;
const MAX_HELLOS = 6;
/** As the peer counts it: large enough for what any version subtracts. */
const HELLO_LOAD = 320;
/** Loads of these many bytes answer forward probes: which of them is told by the size. */
const FIRST_ANSWER = 48;
const ANSWERS = 128;
/** Time for an answer besides the round trip, milliseconds. */
const SLACK_MS = 80;
const MAX_PATIENCE_MS = 700;
/** IP packets that every path takes (RFC 791; RFC 8200 5): if none of this size arrives, the path drops probes as such. */
const CERTAIN = 576;

/** IP packets of `passes` bytes pass, those of `fails` do not; `fails` is undefined where nothing longer could be tried. */
export interface PathRange {
  readonly passes: number;
  readonly fails: number | undefined;
  /** It is this host that sends nothing longer in one piece. */
  readonly local: boolean;
}

export interface PathMeasurement {
  readonly family: 4 | 6;
  /** Both undefined when the peer does not answer. */
  readonly forward: PathRange | undefined;
  readonly reverse: PathRange | undefined;
  /** The peer is another tsvpn. */
  readonly tsvpn: boolean;
  /** A router said that probes were too long. */
  readonly told: boolean;
  readonly rttMs: number;
  readonly probes: number;
  readonly tookMs: number;
}

/** A load request. */
export interface ProbeRequest {
  /** Of the load, as the peer counts it. */
  readonly load: number;
  /** IP packet that the load is to be sent in; 0 for whatever comes of it. */
  readonly loadTotal: number;
  /** Of the request: payload bytes, and the IP packet it is to be sent in; 0 for whatever comes of it. */
  readonly length: number;
  readonly total: number;
}

export interface ProbeOptions {
  readonly shape: ChannelShape;
  readonly family: 4 | 6;
  readonly nowMs: number;
}

type Phase = 'hello' | 'forward' | 'padded' | 'reverse' | 'done';

export class MtuProbe {
  /** Set at the end. */
  result: PathMeasurement | undefined;
  private readonly shape: ChannelShape;
  private readonly family: 4 | 6;
  private readonly startMs: number;
  private send: (request: ProbeRequest) => SizedSend = () => 'unable';
  private phase: Phase = 'hello';
  private hellos = 0;
  private helloMs = -Infinity;
  private rttMs = 0;
  /** What the peer subtracts from the size asked for. */
  private discount = 0;
  private tsvpn = false;
  private wasTold = false;
  /** The peer sends loads in IP packets of any size. */
  private exactLoads = false;
  private train: ProbeTrain | undefined;
  /** Bytes in an IP packet for each place of the search, when that goes by blocks. */
  private sizes: readonly number[] = [];
  private readonly asked = new Map<number, number>();
  private nextAnswer = 0;
  private probes = 0;
  private forward: PathRange | undefined;
  private reverse: PathRange | undefined;

  constructor({ shape, family, nowMs }: ProbeOptions) {
    this.shape = shape;
    this.family = family;
    this.startMs = nowMs;
  }

  dueMs(): number {
    if (this.phase === 'done') return Infinity;
    const next = this.train?.dueMs() ?? this.helloMs;
    return Math.min(next, this.startMs + TIME_LIMIT_MS);
  }

  step(nowMs: number, send: (request: ProbeRequest) => SizedSend): void {
    this.send = send;
    if (nowMs >= this.startMs + TIME_LIMIT_MS) return this.end(nowMs);
    if (this.phase === 'hello') return this.hello(nowMs);
    this.train?.step(nowMs);
    if (this.train?.done === true) this.advance(this.train, nowMs);
  }

  /**
   * A load of `length` bytes has come. `total`: what it says of the IP packet it was sent in, -1 for nothing. `whole`: it
   * came in one IP packet.
   */
  load(length: number, total: number, whole: boolean, nowMs: number): void {
    if (this.phase === 'hello') return this.answered(length, total, nowMs);
    const value = this.asked.get(length);
    if (this.phase === 'reverse') {
      if (this.exactLoads) {
        if (total > 0) this.train?.arrived(total);
      } else if (whole) {
        this.train?.arrived(this.sizes.indexOf(outerSize(this.shape, length, this.family)));
      }
    } else if (value !== undefined) {
      this.train?.arrived(value);
    }
  }

  /** A router says that the path to the peer takes IP packets of `mtu` bytes. */
  told(mtu: number): void {
    this.wasTold = true;
    if (this.phase === 'forward') this.train?.search.told(mtu);
  }

  /** It ends before its time, with nothing. */
  abandoned(): PathMeasurement {
    const { family, tsvpn, wasTold: told, rttMs, probes } = this;
    return { family, forward: undefined, reverse: undefined, tsvpn, told, rttMs, probes, tookMs: 0 };
  }

  private hello(nowMs: number): void {
    if (this.hellos === MAX_HELLOS) return this.end(nowMs);
    this.hellos++;
    if (this.hellos === 1) this.rttMs = nowMs;
    this.helloMs = nowMs + HELLO_INTERVAL_MS;
    this.request({ load: HELLO_LOAD });
  }

  private answered(length: number, total: number, nowMs: number): void {
    if (this.hellos === 0) return;
    this.rttMs = nowMs - this.rttMs;
    this.discount = HELLO_LOAD - length;
    this.tsvpn = total >= 0;
    this.exactLoads = total === EXACT_LOADS;
    this.begin('forward');
  }

  private begin(phase: 'forward' | 'padded' | 'reverse'): void {
    this.phase = phase;
    const { shape, family } = this;
    if (phase === 'forward') {
      this.run(outerSize(shape, LOAD_REQUEST_SIZE, family), MAX_IP_PACKET, LIKELY, (total) =>
        this.request({ load: this.nextLoad(total), total }),
      );
    } else if (phase === 'reverse' && this.exactLoads) {
      const likely = [this.forward?.passes ?? LIKELY[0], ...LIKELY];
      this.run(outerSize(shape, FIRST_ANSWER, family), MAX_IP_PACKET, likely, (loadTotal) =>
        this.request({ load: FIRST_ANSWER + this.discount, loadTotal }),
      );
    } else {
      this.runBlocks(phase);
    }
  }

  /** Sizes as they come when payloads grow: by one block of the cipher. */
  private runBlocks(phase: 'padded' | 'reverse'): void {
    const { shape, family } = this;
    const headers = outerHeaders(shape, family);
    const longest = Math.min(STOCK_DATAGRAM, shape.fragment || STOCK_DATAGRAM);
    const first = datagramSize(shape, Math.max(LOAD_REQUEST_SIZE, HELLO_LOAD - this.discount));
    const sizes: number[] = [];
    for (let size = first; size <= longest; size += shape.blockSize || 1) sizes.push(size + headers);
    this.sizes = sizes;
    const place = (total: number) => sizes.findLastIndex((size) => size <= total);
    const likely = [this.forward?.passes, ...LIKELY].map((total) => place(total ?? 0));
    const length = (at: number) => payloadIn(shape, sizes[at] - headers);
    this.run(-1, sizes.length - 1, likely, (at) =>
      phase === 'reverse'
        ? this.request({ load: length(at) + this.discount })
        : this.request({ load: this.nextLoad(at), length: length(at), total: sizes[at] }),
    );
  }

  private run(
    floor: number,
    ceiling: number,
    likely: readonly number[],
    send: (size: number) => SizedSend,
  ): void {
    const patienceMs = Math.min(2 * this.rttMs + SLACK_MS, MAX_PATIENCE_MS);
    this.asked.clear();
    this.train = new ProbeTrain(new PathMtuSearch({ floor, ceiling, likely }), patienceMs, send);
  }

  private advance(train: ProbeTrain, nowMs: number): void {
    const { phase } = this;
    this.settle(train);
    if (phase === 'forward' && (this.forward?.passes ?? 0) < CERTAIN) return this.begin('padded');
    if (phase === 'forward' || phase === 'padded') return this.begin('reverse');
    this.end(nowMs);
  }

  /** Takes the train's result. */
  private settle({ search, unable, probes }: ProbeTrain): void {
    this.train = undefined;
    this.probes += probes;
    const exact = this.phase === 'forward' || (this.phase === 'reverse' && this.exactLoads);
    const bounded = search.done && !search.reachedCeiling;
    const least = outerSize(this.shape, LOAD_REQUEST_SIZE, this.family);
    const size = (place: number) => (exact ? place : (this.sizes[place] ?? least));
    const range = unable
      ? undefined
      : {
          passes: size(search.passes),
          fails: bounded ? size(search.passes + 1) : undefined,
          local: search.refusedNext,
        };
    if (this.phase === 'reverse') this.reverse = range;
    else this.forward = range;
  }

  private end(nowMs: number): void {
    if (this.train !== undefined) this.settle(this.train);
    const answered = this.phase !== 'hello';
    this.phase = 'done';
    const { family, forward, reverse, tsvpn } = this;
    this.result = {
      family,
      forward,
      reverse,
      tsvpn,
      told: this.wasTold,
      rttMs: answered ? this.rttMs : 0,
      probes: this.probes + this.hellos,
      tookMs: nowMs - this.startMs,
    };
  }

  /** A size of load that no probe under way has asked for; the load will stand for `value`. */
  private nextLoad(value: number): number {
    const length = FIRST_ANSWER + (this.nextAnswer++ % ANSWERS);
    this.asked.set(length, value);
    return length + this.discount;
  }

  private request(request: Partial<ProbeRequest> & Pick<ProbeRequest, 'load'>): SizedSend {
    return this.send({ loadTotal: 0, length: LOAD_REQUEST_SIZE, total: 0, ...request });
  }
}
