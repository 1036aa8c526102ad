/** Measures the path to a peer on request. */
import { protocolsOf } from '../config/protocols.ts';
import type { Params, Results } from '../control/messages.ts';
import { Counter } from '../engine/counters.ts';
import type { PathMeasurement } from '../engine/mtu-probe.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import { mtuReport } from './mtu-report.ts';
import type { PeerSession } from './peer-session.ts';
import type { Room } from './room.ts';

/** More than a measurement ever takes. */
const MEASURE_TIMEOUT_MS = 9000;

/** Throws OperatorError for a peer that there is not, or whose path cannot be measured. */
export async function measureMtu(room: Room, { peer: name }: Params['mtu']): Promise<Results['mtu']> {
  const { peers, plane, config } = room;
  const peer = name === undefined && peers.list.length === 1 ? peers.list[0] : peers.named(name ?? '');
  const question = { kind: 'mtu', peer: peer.index } as const;
  const measurement = (await plane.query(question, MEASURE_TIMEOUT_MS)) as PathMeasurement | undefined;
  if (measurement === undefined) throw cannotMeasure(peer);
  const { counters } = peer;
  const mss = counters.get(Counter.Mss);
  return mtuReport({
    config: { ...peer.config, transport: { ...peer.config.transport, ...peer.connectionSettings } },
    endpoint: peer.endpoint,
    measurement,
    effective: {
      inner: counters.get(Counter.InnerMtu),
      mss: mss === 0 ? null : mss,
      fragment: counters.get(Counter.Fragment),
    },
    inner6: config.device.addresses6.length > 0,
  });
}

function cannotMeasure({ name, endpoint, config }: PeerSession): OperatorError {
  const tcp = !protocolsOf(config.transport).includes('udp');
  const [why, fix] = tcp
    ? ['it is connected by TCP, which finds the path MTU by itself', 'nothing is to be done']
    : endpoint === null
      ? ['its address is not known yet', 'wait until the peer has called, see `tsvpn status`']
      : ['it has no link at the moment', 'see `tsvpn status`, and try again'];
  const what = `the path to ${name} cannot be measured`;
  return new OperatorError({ code: 'MTU_NOT_NOW', what, why, fix, exitCode: ExitCode.Failure });
}
