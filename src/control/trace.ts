/** What `tsvpn trace` asks and is told, and how it is printed. */
import { plain, type Paint } from './colour.ts';
import { escapeText } from './escape.ts';
import { decisionText, type ListedRoute } from './routes.ts';

export const TRACE_PROTOCOLS = ['tcp', 'udp', 'icmp'] as const;
export type TraceProtocol = (typeof TRACE_PROTOCOLS)[number];

/** The packet to follow; addresses as text, sizes in bytes. */
export interface TraceRequest {
  readonly source: string;
  readonly destination: string;
  readonly protocol: TraceProtocol;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** The peer it comes from; absent: from the device, that is from this host or its LAN. */
  readonly peer?: string;
  /** Of the whole packet; absent: the headers alone. */
  readonly size?: number;
  readonly dontFragment: boolean;
}

export interface TraceLine {
  readonly stage: string;
  readonly outcome: string;
  /** The deciding entry of the routing table. */
  readonly route?: ListedRoute;
  readonly peer?: string;
  /** The deciding `nat` line. */
  readonly rule?: {
    readonly id: number;
    readonly text: string;
    readonly file: string;
    readonly line: number;
  };
  readonly drop?: { readonly reason: string; readonly explanation: string };
}

export interface TraceReport {
  readonly schema: 'tsvpn.trace/1';
  /** `ICMP 10.0.0.1 > 10.1.0.5, 28 bytes, from the device`. */
  readonly packet: string;
  readonly steps: readonly TraceLine[];
}

function lineText(step: TraceLine): string {
  const { stage, outcome, route, peer, rule, drop } = step;
  const decision = route === undefined ? peerText(peer) : decisionText(route);
  const line = rule === undefined ? '' : ` (${rule.file}:${rule.line} ${rule.text})`;
  if (drop !== undefined) return `${outcome}: ${drop.reason} (${drop.explanation})`;
  if (stage === 'out') return `→ ${decision ?? outcome}`;
  return `${outcome}${decision === undefined ? '' : `: ${decision}`}${line}`;
}

function peerText(peer: string | undefined): string | undefined {
  return peer === undefined ? undefined : `peer ${peer}`;
}

/** One line per stage, the last with an arrow or the reason of the drop; no trailing line feed. */
export function renderTrace({ packet, steps }: TraceReport, paint: Paint = plain): string {
  const width = Math.max(0, ...steps.map(({ stage }) => stage.length));
  const lines = steps.map((step) => {
    const text = escapeText(lineText(step));
    const colour = step.drop === undefined ? 'green' : 'red';
    return `  ${step.stage.padEnd(width)}  ${step.stage === 'out' ? paint(colour, text) : text}`;
  });
  return [escapeText(packet), ...lines].join('\n');
}
