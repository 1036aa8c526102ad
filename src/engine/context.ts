/** What the stages of one engine share; built once by the engine. */
import type { TunDevice } from '../tun/device.ts';
import type { Counters } from './counters.ts';
import type { EngineEvent } from './messages.ts';
import type { Peer } from './peer.ts';

export interface EngineContext {
  readonly tun: TunDevice;
  readonly peer: Peer;
  readonly counters: Counters;
  /** Rare news for the control plane; never called per packet. */
  readonly emit: (event: EngineEvent) => void;
}

/** The time of one breath, read once at its start. */
export interface Now {
  readonly ms: number;
  readonly sec: number;
}
