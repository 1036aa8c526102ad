/**
 * `tsvpn trace`: the data plane says which entries decide, by their numbers; here the numbers become lines of the config and
 * words.
 */
import type { NatLine } from '../config/model.ts';
import { DROPS } from '../control/drops.ts';
import type { TraceLine, TraceReport, TraceRequest } from '../control/trace.ts';
import { TRACE_PROTOCOLS } from '../control/trace.ts';
import type { TraceStep } from '../engine/trace.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import { buildPacket } from '../packet/build.ts';
import type { Route } from '../route/route.ts';
import { listed, parsed } from './route-answers.ts';

/** What the numbers in an answer mean. */
export interface TraceNames {
  /** The list the table was compiled from. */
  readonly routes: readonly Route[];
  readonly natLines: readonly NatLine[];
  readonly peerName: (index: number) => string | undefined;
}

/** The packet asked about. Throws OperatorError when there is no such packet. */
export function tracedPacket(request: TraceRequest): Uint8Array {
  const { protocol, sourcePort, destinationPort, size, dontFragment } = request;
  const source = parsed(request.source);
  const destination = parsed(request.destination);
  if (!TRACE_PROTOCOLS.includes(protocol)) throw impossible(`'${protocol}' is not a protocol to trace`);
  try {
    return buildPacket({
      source,
      destination,
      protocol,
      sourcePort,
      destinationPort,
      length: size,
      dontFragment,
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw impossible(`there is no such packet: ${error.message}`);
  }
}

function impossible(what: string): OperatorError {
  const fix =
    'give two addresses of one family, a protocol (tcp, udp, icmp) and a size that holds the headers';
  return new OperatorError({ code: 'TRACE_PACKET', what, fix, exitCode: ExitCode.Usage });
}

export function traceReport(
  request: TraceRequest,
  size: number,
  steps: readonly TraceStep[],
  names: TraceNames,
): TraceReport {
  return {
    schema: 'tsvpn.trace/1',
    packet: packetText(request, size),
    steps: withDecision(steps).map((step) => explained(step, names)),
  };
}

function packetText(request: TraceRequest, size: number): string {
  const { protocol, source, destination, sourcePort, destinationPort, peer } = request;
  const ports = protocol === 'icmp' ? ['', ''] : [` port ${sourcePort}`, ` port ${destinationPort}`];
  const from = peer === undefined ? 'the device' : `peer ${peer}`;
  return `${protocol.toUpperCase()} ${source}${ports[0]} > ${destination}${ports[1]}, ${size} bytes, from ${from}`;
}

/** The last step has the route that led to the peer. */
function withDecision(steps: readonly TraceStep[]): TraceStep[] {
  const last = steps.at(-1);
  const { route, peer } = steps.findLast(({ stage }) => stage === 'route') ?? {};
  if (last?.stage !== 'out' || route === undefined || peer === undefined || last.peer !== peer)
    return [...steps];
  return [...steps.slice(0, -1), { ...last, route }];
}

function explained(step: TraceStep, { routes, natLines, peerName }: TraceNames): TraceLine {
  const { stage, outcome } = step;
  const route = step.route === undefined || step.route < 0 ? undefined : routes[step.route];
  const peer = step.peer === undefined ? undefined : peerName(step.peer);
  const line = step.rule === undefined ? undefined : natLines[step.rule];
  const drop = DROPS.find(({ reason }) => reason === step.verdict);
  return {
    stage,
    outcome,
    ...(route === undefined ? {} : { route: listed(route) }),
    ...(peer === undefined ? {} : { peer }),
    ...(line === undefined
      ? {}
      : { rule: { id: step.rule!, text: line.text, file: line.where.file, line: line.where.line } }),
    ...(drop === undefined ? {} : { drop: { reason: drop.name, explanation: drop.explanation } }),
  };
}
