/** What the parts of a running gateway work on together, and the few things that more than one of them does. */
import type { GatewayConfig } from '../config/model.ts';
import type { Logger } from '../control/log.ts';
import { locate, OperatorError } from '../errors.ts';
import type { HostChange } from '../kernel/monitor.ts';
import type { OpenTun } from '../tun/open.ts';
import type { DataPlane } from './data-plane.ts';
import type { KernelRoom } from './kernel-room.ts';
import type { NatRoom } from './nat-room.ts';
import type { Peers } from './peers.ts';
import type { Routing } from './routing.ts';
import type { Stages } from './stages.ts';
import type { RecursionWatch } from './recursion.ts';
import { engineSettings, isPointToPoint } from './settings.ts';
import { inOneLine } from './warnings.ts';

export interface Room {
  /** Replaced by a reload. */
  config: GatewayConfig;
  readonly log: Logger;
  readonly tun: OpenTun;
  readonly plane: DataPlane;
  readonly kernel: KernelRoom;
  readonly nat: NatRoom;
  readonly stages: Stages;
  readonly peers: Peers;
  readonly routing: Routing;
  readonly recursion: RecursionWatch;
}

/** Is the device a link to one peer? Not when the operator has routes that refuse. */
function isLink({ config, routing }: Room): boolean {
  return isPointToPoint(config) && !routing.refuses;
}

/** The only peer, when the device is a link to it. */
export function linkedPeer(room: Room): string | null {
  return isLink(room) ? room.config.peers[0].name : null;
}

/** Tells the data plane and the kernel what follows from the config and the operator's routes. Throws OperatorError. */
export function settle(room: Room): void {
  const { config, plane, kernel, routing } = room;
  plane.send({ kind: 'settings', settings: engineSettings(config, isLink(room)) });
  kernel.follow(config, routing.operatorPrefixes());
}

/** The host may have changed: its addresses, its routes, or what we need of it. */
export function observeHost(room: Room, change: HostChange): void {
  const { routing, nat, kernel, config, log, recursion } = room;
  routing.observe(change);
  nat.check();
  recursion.check(room);
  if (!kernel.observe(change.host) || config.redirect === undefined) return;
  try {
    settle(room);
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    log.error({ code: error.code }, inOneLine(locate(error, config.lines)));
  }
}
