/** The lab's result as a picture of its network with what was measured in it; pure text, 79 columns. */
import { plain, type Paint } from '../control/colour.ts';
import { humanBytes } from '../control/units.ts';
import type { Implementation, LabReport, PingResult, TraceResult, TransferResult } from './report.ts';
import { SITE_A, SITE_B, type Site } from './topology.ts';

/** Inner widths of the five boxes. */
const WIDTHS = [10, 14, 13, 14, 10] as const;
const CABLE = '──';
const GAP = '  ';
const LAST = WIDTHS.length - 1;

const COLUMNS = WIDTHS.reduce((sum, width) => sum + width + 2, GAP.length * LAST);
/** Column in which the tunnel leaves gateway A; it enters gateway B as far from the other edge. */
const TUNNEL_COLUMN = WIDTHS[0] + 2 + GAP.length + 1 + WIDTHS[1] / 2;

const LABEL_WIDTH = 15;
const DETAIL_WIDTH = COLUMNS - 1 - LABEL_WIDTH - 'A → B   '.length - 'FAILED'.length;

/** Lines of the picture, without line feeds. */
export function drawLab(report: LabReport, paint: Paint = plain): string[] {
  const { pings, traces, transfers } = report;
  return [
    ...drawNetwork(report.gateways, paint),
    '',
    ...pings.map((ping, i) => row(i, 'ping', ping, describePing(ping), isAnswered(ping), paint)),
    ...traces.map((trace, i) => row(i, 'traceroute', trace, describeTrace(trace), trace.asExpected, paint)),
    ...transfers.map((transfer, i) => {
      const label = `TCP ${humanBytes(transfer.bytes)}`;
      return row(i, label, transfer, describeTransfer(transfer), transfer.intact, paint);
    }),
  ];
}

export function isAnswered({ sent, received }: PingResult): boolean {
  return sent > 0 && received === sent;
}

function drawNetwork(gateways: LabReport['gateways'], paint: Paint): string[] {
  const boxes = [
    hostBox(SITE_A),
    gatewayBox(SITE_A, gateways.a),
    ['internet', '', ''],
    gatewayBox(SITE_B, gateways.b),
    hostBox(SITE_B),
  ];
  const edge = (left: string, right: string) =>
    WIDTHS.map((width) => left + '─'.repeat(width) + right).join(GAP);
  const body = [0, 1, 2].map((line) => {
    const cells = boxes.map((box) => box[line]);
    return bodyLine(cells, line === 1);
  });
  const [siteA, siteB] = [SITE_A, SITE_B].map(({ letter, network }) => ` site ${letter}  ${network}/16`);
  return [
    paint('bold', siteA + siteB.padStart(COLUMNS - 1 - siteA.length)),
    edge('┌', '┐'),
    ...body,
    lowerEdge(edge('└', '┘'), paint),
    ' '.repeat(TUNNEL_COLUMN) + paint('cyan', `╚${tunnelCable()}╝`),
    centre('AES-256-CBC, SHA256, UDP port 1194', COLUMNS).trimEnd(),
  ];
}

function hostBox({ letter, hostAddress }: Site): string[] {
  return [`host ${letter}`, '', hostAddress];
}

function gatewayBox({ letter, gatewayWan }: Site, implementation: Implementation): string[] {
  return [`gateway ${letter}`, implementation, gatewayWan];
}

/** One line of all boxes; cables join them on the line with the implementations. */
function bodyLine(cells: readonly string[], cabled: boolean): string {
  const boxes = cells.map((cell, i) => {
    const left = cabled && i > 0 ? '┤' : '│';
    const right = cabled && i < LAST ? '├' : '│';
    return left + centre(cell, WIDTHS[i]) + right;
  });
  return boxes.join(cabled ? CABLE : GAP);
}

function tunnelCable(): string {
  const span = COLUMNS - 2 * TUNNEL_COLUMN - 2;
  const [left, right] = [`═ ${SITE_A.tunnel} `, ` ${SITE_B.tunnel} ═`];
  return left + '═'.repeat(span - left.length - right.length) + right;
}

/** The boxes' lower edge, where the tunnel leaves the gateways. */
function lowerEdge(edge: string, paint: Paint): string {
  const right = COLUMNS - 1 - TUNNEL_COLUMN;
  const end = paint('cyan', '╥');
  return (
    edge.slice(0, TUNNEL_COLUMN) + end + edge.slice(TUNNEL_COLUMN + 1, right) + end + edge.slice(right + 1)
  );
}

function row(
  index: number,
  label: string,
  { from }: { readonly from: 'A' | 'B' },
  detail: string,
  ok: boolean,
  paint: Paint,
): string {
  const direction = from === 'A' ? 'A → B   ' : 'B → A   ';
  const title = (index === 0 ? label : '').padEnd(LABEL_WIDTH);
  return ` ${title}${direction}${detail.padEnd(DETAIL_WIDTH)}${ok ? paint('green', 'ok') : paint('red', 'FAILED')}`;
}

function describePing({ sent, received, rttMs }: PingResult): string {
  const answered = `${received} of ${sent} answered`;
  if (rttMs === undefined) return answered;
  const [mean, min, max] = [rttMs.mean, rttMs.min, rttMs.max].map((value) => value.toFixed(2));
  return `${answered}, ${mean} ms (${min} to ${max})`;
}

function describeTrace({ hops }: TraceResult): string {
  return `${hops.map((hop) => hop ?? '*').join(' → ')}  (${hops.length} ${hops.length === 1 ? 'hop' : 'hops'})`;
}

function describeTransfer({ megabitsPerSecond, intact }: TransferResult): string {
  const rate = `${megabitsPerSecond.toFixed(megabitsPerSecond < 10 ? 1 : 0)} Mbit/s`;
  return `${rate}, SHA-256 ${intact ? 'equal' : 'differs'}`;
}

function centre(text: string, width: number): string {
  return text.padStart(text.length + Math.floor((width - text.length) / 2)).padEnd(width);
}
