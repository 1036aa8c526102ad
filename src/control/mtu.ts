/** What `tsvpn mtu` reports of the path to a peer: plain data, and how it is printed. Sizes are bytes. */
import type { Paint } from './colour.ts';

/** IP packets of `mtu` bytes pass; longer ones may up to `upTo`, null when none was seen to fail. */
export interface MtuBounds {
  readonly mtu: number;
  readonly upTo: number | null;
  /** What was measured, when more is known than that: by the other direction. */
  readonly measured?: { readonly mtu: number; readonly upTo: number };
}

/** One addend of what is put around a packet. */
export interface OverheadPart {
  readonly name: string;
  readonly bytes: number;
}

export interface MtuReport {
  readonly schema: 'tsvpn.mtu/1';
  readonly peer: string;
  /** Its outer address. */
  readonly endpoint: string | null;
  /** Null when it did not answer. */
  readonly software: 'tsvpn' | 'openvpn' | null;
  readonly family: 4 | 6;
  readonly tookMs: number;
  readonly rttMs: number;
  readonly probes: number;
  readonly toPeer: MtuBounds | null;
  readonly fromPeer: MtuBounds | null;
  /** A router said that packets were too long; nobody did on a path that drops them silently. */
  readonly routersTell: boolean;
  /** The path to the peer carries IP fragments; null when that was not tried. */
  readonly fragments: boolean | null;
  /** Padding aside, which fills up the last block of the cipher. */
  readonly overhead: readonly OverheadPart[];
  readonly blockSize: number;
  /** Longest packet inside the tunnel that goes over the path whole, and the IP packet it becomes; null when unknown. */
  readonly largest: { readonly inner: number; readonly outer: number } | null;
  /** Without a change of the config packets are lost, unless tsvpn makes them shorter. */
  readonly urgent: boolean;
  readonly recommended: readonly { readonly lines: readonly string[]; readonly does: string }[];
  /** What happens with the config as it is, in sentences. */
  readonly today: readonly string[];
  /** In force at the moment. `fragment`: IP packet of the longest fragment, 0 without. */
  readonly effective: { readonly inner: number; readonly mss: number | null; readonly fragment: number };
}

function bounds(range: MtuBounds | null): string {
  if (range === null) return 'not known';
  const { mtu, upTo, measured } = range;
  if (upTo === null) return `outer IP packets of at least ${mtu} bytes`;
  if (upTo > mtu) return `outer IP packets of ${mtu} to ${upTo} bytes`;
  const exact = `outer IP packets of ${mtu} bytes`;
  return measured === undefined || measured.upTo === measured.mtu
    ? exact
    : `${exact} (${measured.mtu} to ${measured.upTo} was measured: OpenVPN's datagrams grow by blocks)`;
}

function arithmetic({ overhead, largest, blockSize }: MtuReport): string[] {
  const sum = overhead.reduce((total, { bytes }) => total + bytes, 0);
  const parts = overhead.map(({ name, bytes }) => `${name} ${bytes}`).join(' + ');
  const padding = blockSize > 0 ? `, and padding of 1 to ${blockSize}` : '';
  const lines = [`  overhead         ${parts} = ${sum}${padding}`];
  if (largest !== null) {
    const filled = largest.outer - sum - largest.inner;
    const terms = [`${largest.inner} + ${sum}`, ...(blockSize > 0 ? [`padding ${filled}`] : [])].join(' + ');
    lines.push(`  largest inside   inner packet of ${largest.inner} bytes: ${terms} = ${largest.outer}`);
  }
  return lines;
}

export function renderMtu(report: MtuReport, paint: Paint): string {
  const { peer, endpoint, software, tookMs, rttMs, probes } = report;
  const where = endpoint === null ? '' : ` at ${endpoint}`;
  if (software === null) return `${paint('bold', peer)}${where} did not answer ${probes} probes`;
  const title = `${paint('bold', peer)}${where}, ${software === 'tsvpn' ? 'tsvpn' : 'OpenVPN'}`;
  const lines = [
    `${title}: measured in ${(tookMs / 1000).toFixed(1)} s with ${probes} probes, round trip ${rttMs.toFixed(1)} ms`,
    `  path to it       ${bounds(report.toPeer)}`,
    `  path from it     ${bounds(report.fromPeer)}`,
    ...(report.fragments === false ? ['  IP fragments     do not pass'] : []),
    ...arithmetic(report),
    '',
    paint('bold', 'today'),
    ...report.today.map((sentence) => `  ${sentence}`),
  ];
  const heading = report.urgent ? 'recommended' : 'nothing has to be done; long packets stay whole with';
  if (report.recommended.length > 0) lines.push('', paint('bold', heading));
  for (const { lines: config, does } of report.recommended) {
    lines.push(...config.map((line) => `  ${line}`), `      ${paint('dim', does)}`);
  }
  return lines.join('\n');
}
