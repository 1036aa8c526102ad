/** Measures the path to a peer on request. */
import type { Params, Results } from '../control/messages.ts';
import { Counter } from '../engine/counters.ts';
import type { PathMeasurement } from '../engine/mtu-probe.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import { mtuReport } from './mtu-report.ts';
import type { Room } from './room.ts';

/** Throws OperatorError for a peer that there is not, or whose path cannot be measured. */
export async function measureMtu(room: Room, { peer: name }: Params['mtu']): Promise<Results['mtu']> {
  const { peers, plane, config } = room;
  const peer = name === undefined && peers.list.length === 1 ? peers.list[0] : peers.named(name ?? '');
  const measurement = (await plane.query({ kind: 'mtu', peer: peer.index })) as PathMeasurement | undefined;
  if (measurement === undefined) throw cannotMeasure(peer.name, peer.endpoint === null);
  const mss = peer.counters.get(Counter.Mss);
  return mtuReport({
    config: peer.config,
    endpoint: peer.endpoint,
    measurement,
    effective: { inner: peer.counters.get(Counter.InnerMtu), mss: mss === 0 ? null : mss },
    inner6: config.device.addresses6.length > 0,
  });
}

function cannotMeasure(peer: string, unknown: boolean): OperatorError {
  return new OperatorError({
    code: 'MTU_NOT_NOW',
    what: `the path to ${peer} cannot be measured`,
    why: unknown ? 'its address is not known yet' : 'it has no UDP link at the moment',
    fix: unknown ? 'wait until the peer has called, see `tsvpn status`' : 'see `tsvpn status`, and try again',
    exitCode: ExitCode.Failure,
  });
}
