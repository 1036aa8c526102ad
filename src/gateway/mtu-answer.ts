/** Measures the path to a peer on request. */
import { protocolsOf } from '../config/protocols.ts';
import type { Params, Results } from '../control/messages.ts';
import { Counter } from '../engine/counters.ts';
import type { MeasurementAnswer } from '../engine/mtu-watch.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import { mtuReport } from './mtu-report.ts';
import type { PeerSession } from './peer-session.ts';
import type { Room } from './room.ts';
import { carriesIpv6 } from './settings.ts';

/** More than a measurement ever takes. */
const MEASURE_TIMEOUT_MS = 9000;

/** Throws OperatorError for a peer that there is not, or whose path cannot be measured. */
export async function measureMtu(room: Room, { peer: name }: Params['mtu']): Promise<Results['mtu']> {
  const { peers, plane } = room;
  const peer = name === undefined && peers.list.length === 1 ? peers.list[0] : peers.named(name ?? '');
  const question = { kind: 'mtu', peer: peer.index } as const;
  const measurement = (await plane.query(question, MEASURE_TIMEOUT_MS)) as MeasurementAnswer;
  if (typeof measurement === 'string') throw noMeasurement(peer, measurement === 'interrupted');
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
    inner6: carriesIpv6(peer.config),
  });
}

function noMeasurement(peer: PeerSession, interrupted: boolean): OperatorError {
  const what = interrupted
    ? `the measurement of the path to ${peer.name} was interrupted`
    : `the path to ${peer.name} cannot be measured`;
  const [why, fix] = whyNot(peer, interrupted);
  return new OperatorError({ code: 'MTU_NOT_NOW', what, why, fix, exitCode: ExitCode.Failure });
}

function whyNot(peer: PeerSession, interrupted: boolean): [why: string, fix: string] {
  const { config, isLeaving, stateName, endpoint } = peer;
  if (isLeaving) return ['the peer has ended, or is no longer in the config', 'see `tsvpn status`'];
  if (stateName === 'exiting') return ['the tunnel is about to end', 'start it, and run this again'];
  // A peer that may be called by both has been by TCP, if it is connected.
  if (!interrupted && (stateName === 'connected' || !protocolsOf(config.transport).includes('udp')))
    return ['it is connected by TCP, which finds the path MTU by itself', 'nothing is to be done'];
  if (!interrupted && stateName === 'waiting' && endpoint === null)
    return ['its address is not known yet', 'wait until the peer has called, see `tsvpn status`'];
  return ['the connection to it restarts', 'run this again when `tsvpn status` says that it is connected'];
}
