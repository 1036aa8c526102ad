/**
 * Measures the path MTU to one peer, both ways, with OCC's load requests: the peer answers each with a load of the size
 * asked for, which may be stock OpenVPN as well as tsvpn.
 *
 *   1 hello     a small request: does the peer answer, how fast, how does it count, what can it do?
 *   2 forward   requests in IP packets of the sizes to try; each asks for a load of another small size, which tells
 *               which of them have arrived
 *   3 fragments a request in two IP fragments, which some paths do not carry
 *   4 reverse   tsvpn is asked to send loads in IP packets of the sizes to try; of stock, loads as large as a datagram can
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
/** Payload of a request that is cut: neither fragment is tiny, and both fit every path. */
const FRAGMENTED_LENGTH = 1000;
const HELLO_INTERVAL_MS = 300;
const MAX_HELLOS = 6;
/** As the peer counts it: so large that a load of its own is left of it, whatever its version subtracts. */
const HELLO_LOAD = 320;
/** Loads of these many bytes answer forward probes: which of them is told by the size. */
const FIRST_ANSWER = 48;
const ANSWERS = 128;
/** Time for an answer besides the round trip, milliseconds. */
const SLACK_MS = 80;
/** IP packets that every path takes (RFC 791; RFC 8200 5): if none of this size arrives, the path drops probes as such. */
const CERTAIN = 576;

/** IP packets of `passes` bytes pass, those of `fails` do not; `fails` is undefined where nothing longer could be tried. */
export interface PathRange {
  readonly passes: number;
  readonly fails: number | undefined;
  /** It is this host that sends nothing longer in one piece. */
  readonly local: boolean;
  /** The search came to its end; otherwise longer packets may pass. */
  readonly complete: boolean;
}

export interface PathMeasurement {
  readonly family: 4 | 6;
  /** Both undefined when the peer does not answer. */
  readonly forward: PathRange | undefined;
  readonly reverse: PathRange | undefined;
  /** Does the path to the peer carry IP fragments? Undefined when it was not tried. */
  readonly fragments: boolean | undefined;
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
  /** The request is to be sent in two IP fragments. */
  readonly fragments: boolean;
}

export interface ProbeOptions {
  readonly shape: ChannelShape;
  readonly family: 4 | 6;
  /** Do not ask stock for loads longer than what passes to it: its log would tell of those that routers refuse. */
  readonly gentle: boolean;
  readonly nowMs: number;
}

type Phase = 'hello' | 'forward' | 'padded' | 'fragments' | 'reverse' | 'done';

export class MtuProbe {
  /** Set at the end. */
  result: PathMeasurement | undefined;
  private readonly shape: ChannelShape;
  private readonly family: 4 | 6;
  readonly gentle: boolean;
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
  /** What an answer of a length stands for: a place of the search, or the round of a witness. */
  private readonly asked = new Map<number, number>();
  private readonly witnesses = new Map<number, number>();
  private nextAnswer = 0;
  private probes = 0;
  private forward: PathRange | undefined;
  private reverse: PathRange | undefined;
  private fragments: boolean | undefined;

  constructor({ shape, family, gentle, nowMs }: ProbeOptions) {
    this.gentle = gentle;
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
    const round = this.witnesses.get(length);
    if (round !== undefined) return this.train?.testified(round);
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

  private hello(nowMs: number): void {
    if (nowMs < this.helloMs) return;
    if (this.hellos === MAX_HELLOS) return this.end(nowMs);
    this.hellos++;
    if (this.hellos === 1) this.rttMs = nowMs;
    this.helloMs = nowMs + HELLO_INTERVAL_MS;
    this.request({ load: HELLO_LOAD });
  }

  private answered(length: number, total: number, nowMs: number): void {
    // A load may still be on its way that another measurement has asked for.
    if (this.hellos === 0 || length < FIRST_ANSWER + ANSWERS || length > HELLO_LOAD) return;
    this.rttMs = nowMs - this.rttMs;
    this.discount = HELLO_LOAD - length;
    this.tsvpn = total >= 0;
    this.exactLoads = total === EXACT_LOADS;
    this.begin('forward');
  }

  private begin(phase: Exclude<Phase, 'hello' | 'done'>): void {
    this.phase = phase;
    const { shape, family } = this;
    if (phase === 'forward') {
      this.run(outerSize(shape, LOAD_REQUEST_SIZE, family), MAX_IP_PACKET, LIKELY, (total) =>
        this.request({ load: this.nextLoad(total), total }),
      );
    } else if (phase === 'fragments') {
      this.run(0, 1, [], () =>
        this.request({ load: this.nextLoad(1), length: FRAGMENTED_LENGTH, fragments: true }),
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
    const first = datagramSize(shape, HELLO_LOAD + 1);
    const sizes: number[] = [];
    for (let size = first; size <= longest; size += shape.blockSize || 1) sizes.push(size + headers);
    this.sizes = sizes;
    const place = (total: number) => sizes.findLastIndex((size) => size <= total);
    const likely = [this.forward?.passes, ...LIKELY].map((total) => place(total ?? 0));
    const length = (at: number) => payloadIn(shape, sizes[at] - headers);
    const known = phase === 'reverse' && this.gentle ? this.forward?.passes : undefined;
    this.run(-1, known === undefined ? sizes.length - 1 : place(known), likely, (at) =>
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
    const patienceMs = 2 * this.rttMs + SLACK_MS;
    this.asked.clear();
    this.witnesses.clear();
    this.train = new ProbeTrain(new PathMtuSearch({ floor, ceiling, likely }), patienceMs, {
      probe: send,
      witness: (round) => this.request({ load: this.nextLoad(round, this.witnesses) }),
    });
  }

  private advance(train: ProbeTrain, nowMs: number): void {
    const { phase } = this;
    this.settle(train);
    if (phase === 'forward' && (this.forward?.passes ?? 0) < CERTAIN) return this.begin('padded');
    if (phase === 'forward' && this.shape.fragment === 0) return this.begin('fragments');
    if (phase !== 'reverse') return this.begin('reverse');
    this.end(nowMs);
  }

  /** Takes the train's result. */
  private settle({ search, unable, probes }: ProbeTrain): void {
    this.train = undefined;
    this.probes += probes;
    if (this.phase === 'fragments') {
      this.fragments = unable || !search.done ? undefined : search.passes > 0;
      return;
    }
    const exact = this.phase === 'forward' || (this.phase === 'reverse' && this.exactLoads);
    const least = outerSize(this.shape, LOAD_REQUEST_SIZE, this.family);
    const size = (place: number) => (exact ? place : (this.sizes[place] ?? least));
    const fails = size(search.passes + 1);
    // A path that takes so little is none: the peer does not answer, or something on the way drops probes as such.
    const complete = search.done && (search.reachedCeiling || fails > CERTAIN);
    const range = unable
      ? undefined
      : {
          passes: size(search.passes),
          fails: complete && !search.reachedCeiling ? fails : undefined,
          local: search.refusedNext,
          complete,
        };
    if (this.phase === 'reverse') this.reverse = range;
    else this.forward = range;
  }

  private end(nowMs: number): void {
    if (this.train !== undefined) this.settle(this.train);
    const answered = this.phase !== 'hello';
    this.phase = 'done';
    const { family, forward, reverse, fragments, tsvpn } = this;
    this.result = {
      family,
      forward,
      reverse,
      fragments,
      tsvpn,
      told: this.wasTold,
      rttMs: answered ? this.rttMs : 0,
      probes: this.probes + this.hellos,
      tookMs: nowMs - this.startMs,
    };
  }

  /** A size of load that no probe under way has asked for; the load will stand for `value`. */
  private nextLoad(value: number, meaning = this.asked): number {
    // The first is that of loads that come in packets of the size asked for.
    const length = FIRST_ANSWER + 1 + (this.nextAnswer++ % (ANSWERS - 1));
    this.asked.delete(length);
    this.witnesses.delete(length);
    meaning.set(length, value);
    return length + this.discount;
  }

  private request(request: Partial<ProbeRequest> & Pick<ProbeRequest, 'load'>): SizedSend {
    return this.send({
      loadTotal: 0,
      length: LOAD_REQUEST_SIZE,
      total: 0,
      fragments: false,
      ...request,
    });
  }
}
