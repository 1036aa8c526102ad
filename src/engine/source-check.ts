/**
 * Anti-spoof: the route to the source of a packet must lead to the peer that sent it (WireGuard's rule; RFC 3704 2.2).
 * Refusals are counted by the caller, and told to the control plane at most once in ten seconds for each peer.
 */
import { addressSize, formatAddress, type Family } from '../packet/address.ts';
import type { Batch } from '../packet/batch.ts';
import { innerFamily, innerSource } from '../packet/inner.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import type { EngineContext, Now } from './context.ts';
import type { Peer } from './peer.ts';
import type { Tracer } from './trace.ts';

const REPORT_MS = 10_000;

export class SourceCheck {
  private readonly context: EngineContext;
  private readonly tracer: Tracer | undefined;

  constructor(context: EngineContext, tracer: Tracer | undefined) {
    this.context = context;
    this.tracer = tracer;
  }

  check(batch: Batch, slot: number, peer: Peer, now: Now): Verdict {
    const { sources, usable } = this.context;
    const { bytes } = batch;
    const start = batch.start[slot];
    const family = innerFamily(bytes, start);
    const at = innerSource(bytes, start);
    const set = family === 4 ? sources.lookup4(bytes, at) : sources.lookup6(bytes, at);
    // A packet in this host's own name would be taken for its word by everybody behind us.
    const own = sources.isOwn(set);
    const accepted = !own && (peer.settings.anySource || sources.has(set, peer.index, usable));
    this.tracer?.source(set, accepted);
    if (accepted) return PASS;
    if (this.tracer === undefined) this.report(peer, bytes, at, family, now);
    return DropReason.Spoofed;
  }

  private report(peer: Peer, bytes: Uint8Array, address: number, family: Family, now: Now): void {
    if (now.ms < peer.nextSpoofReportMs) return;
    peer.nextSpoofReportMs = now.ms + REPORT_MS;
    const text = formatAddress(bytes.slice(address, address + addressSize(family)));
    this.context.emit({ kind: 'spoofed', peer: peer.index, address: text });
  }
}
