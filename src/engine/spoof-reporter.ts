/** Tells the control plane which inner sources are refused: at most one report per peer in ten seconds. */
import { formatAddress, type Family } from '../packet/address.ts';
import type { EngineContext, Now } from './context.ts';
import type { Peer } from './peer.ts';

const REPORT_MS = 10_000;

export class SpoofReporter {
  private readonly context: EngineContext;

  constructor(context: EngineContext) {
    this.context = context;
  }

  report(peer: Peer, bytes: Uint8Array, address: number, family: Family, now: Now): void {
    if (now.ms < peer.nextSpoofReportMs) return;
    peer.nextSpoofReportMs = now.ms + REPORT_MS;
    const text = formatAddress(bytes.slice(address, address + (family === 4 ? 4 : 16)));
    this.context.emit({ kind: 'spoofed', peer: peer.index, address: text });
  }
}
