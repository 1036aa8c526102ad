/**
 * Keeps what is known of the path to each peer: measures it when it is time to (mtu-probe.ts), takes over what was found or
 * told by routers (path-mtu.ts), and forgets what is old.
 */
import { writeOccLoadRequest } from '../protocol/occ.ts';
import { endpointAddress } from '../transport/endpoint.ts';
import type { SizedSend } from '../transport/port.ts';
import type { EngineContext, Now } from './context.ts';
import type { ControlSender } from './control-sender.ts';
import { Counter } from './counters.ts';
import type { PathMtuChange } from './messages.ts';
import { MtuProbe, type PathMeasurement, type PathRange, type ProbeRequest } from './mtu-probe.ts';
import { AGEING_MS } from './path-mtu.ts';
import type { Peer } from './peer.ts';

/** After a peer was first heard: other things come first. Milliseconds. */
const START_DELAY_MS = 1000;
/** What a router says is verified, but not more often than so. */
const VERIFY_INTERVAL_MS = 60_000;

/** `interrupted`: the peer left its link meanwhile; `unable`: it has none, or its way is not to be measured. */
export type MeasurementAnswer = PathMeasurement | 'interrupted' | 'unable';

type Answer = (answer: MeasurementAnswer) => void;

export class MtuWatch {
  private readonly context: EngineContext;
  private readonly control: ControlSender;
  private readonly asked = new Map<Peer, Answer[]>();
  /** Of the last packet sent in fragments, 1 to 65535. */
  private identification: number;

  /** `seed`: 32 random bits. */
  constructor(context: EngineContext, control: ControlSender, seed: number) {
    this.identification = 1 + ((seed >>> 0) % 0xffff);
    this.context = context;
    this.control = control;
  }

  /** When `tick` has something to do, milliseconds. */
  dueMs({ mtuProbe, mtuProbeDueMs, path }: Peer): number {
    return mtuProbe?.dueMs() ?? Math.min(mtuProbeDueMs, path.expiryMs);
  }

  tick(peer: Peer, now: Now): void {
    const probe = peer.mtuProbe;
    if (probe !== undefined) {
      probe.step(now.ms, (request) => this.send(peer, request, now));
      if (probe.result !== undefined) this.finish(peer, probe.result, now);
    } else if (now.ms >= peer.mtuProbeDueMs) {
      this.begin(peer, now);
    } else if (now.ms >= peer.path.expiryMs) {
      this.change(peer, 'forgotten', () => peer.path.forget());
    }
  }

  /** The path is another one: the peer was heard for the first time, or from another address, or we send by another way. */
  elsewhere(peer: Peer, now: Now): void {
    if (peer.settings.mtuProbe !== 'off') peer.mtuProbeDueMs = now.ms + START_DELAY_MS;
  }

  /** Measures now, and answers within seconds. */
  measure(peer: Peer, now: Now, answer: Answer): void {
    if (!canProbe(peer)) return answer('unable');
    this.asked.set(peer, [...(this.asked.get(peer) ?? []), answer]);
    // One that nobody asked for is less thorough.
    if (peer.mtuProbe === undefined || peer.mtuProbe.gentle) this.begin(peer, now);
  }

  /** A router or the kernel says that IP packets to the peer may have `mtu` bytes. */
  told(peer: Peer, mtu: number, now: Now): void {
    peer.counters.add(Counter.PathMtuTold, 1);
    peer.mtuProbe?.told(mtu);
    // The measurement under way will say.
    if (peer.mtuProbe !== undefined && peer.settings.mtuProbe !== 'off') return;
    this.change(peer, 'told', () => peer.path.told(mtu, familyOf(peer), now.ms));
    if (peer.settings.mtuProbe === 'off' || !peer.path.limited) return;
    const verifyMs = Math.max(now.ms + START_DELAY_MS, peer.mtuProbedMs + VERIFY_INTERVAL_MS);
    peer.mtuProbeDueMs = Math.min(peer.mtuProbeDueMs, verifyMs);
  }

  /** The peer leaves its link: what is under way has no end. */
  abandon(peer: Peer): void {
    const { mtuProbe } = peer;
    peer.mtuProbe = undefined;
    peer.mtuProbeDueMs = Infinity;
    if (mtuProbe !== undefined) this.answer(peer, 'interrupted');
  }

  private begin(peer: Peer, now: Now): void {
    peer.mtuProbeDueMs = Infinity;
    if (!canProbe(peer)) return;
    peer.mtuProbedMs = now.ms;
    const { shape } = peer.path;
    peer.mtuProbe = new MtuProbe({
      shape,
      family: familyOf(peer),
      gentle: !this.asked.has(peer),
      nowMs: now.ms,
    });
  }

  private send(peer: Peer, request: ProbeRequest, now: Now): SizedSend {
    const { load, loadTotal, length, total } = request;
    const write = (bytes: Uint8Array, offset: number) =>
      writeOccLoadRequest(bytes, offset, load, loadTotal, length);
    if (request.fragments) return this.control.sendFragments(peer, write, this.nextIdentification(), now);
    if (total > 0) return this.control.sendSized(peer, write, total, now);
    this.control.send(peer, write, now);
    return 'sent';
  }

  private nextIdentification(): number {
    this.identification = (this.identification % 0xffff) + 1;
    return this.identification;
  }

  private finish(peer: Peer, found: PathMeasurement, now: Now): void {
    const { mtuProbe: setting } = peer.settings;
    peer.mtuProbe = undefined;
    const goesBy = setting !== 'off' && found.forward !== undefined;
    if (goesBy) this.change(peer, 'measured', () => apply(peer, found, now));
    this.answer(peer, found);
    if (setting === 'off') return;
    const afterMs = setting !== 'start' ? setting.everySec * 1000 : peer.path.limited ? AGEING_MS : Infinity;
    // The path may have become another one meanwhile.
    peer.mtuProbeDueMs = Math.min(peer.mtuProbeDueMs, now.ms + afterMs);
  }

  private answer(peer: Peer, measurement: MeasurementAnswer): void {
    const asked = this.asked.get(peer) ?? [];
    this.asked.delete(peer);
    for (const answer of asked) answer(measurement);
  }

  /** Emits what becomes of the sizes, if anything. */
  private change(peer: Peer, why: PathMtuChange['why'], act: () => void): void {
    const { path } = peer;
    const before = sizes(peer);
    act();
    peer.fitPath();
    if (sizes(peer) === before) return;
    const limit = (mtu: number) => (mtu === Infinity ? undefined : mtu);
    this.context.emit({
      kind: 'path-mtu',
      peer: peer.index,
      change: {
        why,
        toPeer: limit(path.toPeer),
        fromPeer: limit(path.fromPeer),
        inner: path.inner4,
        mss: path.mss,
        fragment: path.fragmentOuter,
      },
    });
  }
}

function sizes({ path }: Peer): string {
  return `${path.inner4} ${path.inner6} ${path.mss} ${path.fragment}`;
}

function apply(peer: Peer, { forward, reverse, fragments, family }: PathMeasurement, now: Now): void {
  if (forward === undefined) return;
  const toPeer = limitOf(forward, peer.path.toPeer);
  let fromPeer = limitOf(reverse, peer.path.fromPeer);
  // Known to a few bytes only: most paths are alike both ways.
  if (reverse?.fails !== undefined && toPeer >= reverse.passes && toPeer < reverse.fails) fromPeer = toPeer;
  // What this host cuts arrives only where fragments do.
  const cutHere = forward.local && fragments !== false;
  peer.path.measured(toPeer, cutHere, fromPeer, family, now.ms);
}

/** What passes at most, Infinity for no limit; a search that was not ended only widens what is `known`. */
function limitOf(range: PathRange | undefined, known: number): number {
  if (range === undefined) return known;
  if (range.fails !== undefined) return range.passes;
  return range.complete || range.passes > known ? Infinity : known;
}

function canProbe({ port, endpoint, state }: Peer): boolean {
  return state === 'running' && endpoint.known && port?.sendSized !== undefined;
}

function familyOf({ endpoint }: Peer): 4 | 6 {
  return endpointAddress(endpoint.bytes, endpoint.offset).length === 4 ? 4 : 6;
}
