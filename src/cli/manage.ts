/** The management interface of one tunnel, which watches it from before its start to after its end. */
import type { Gateway } from '../gateway/gateway.ts';
import { findIdentity } from '../gateway/privileges.ts';
import type { Signals } from '../gateway/signals.ts';
import { remoteEntry } from '../gateway/states.ts';
import { Management, type Managed } from '../management/management.ts';
import type { TunnelOptions } from './run-tunnel.ts';

export interface Managing {
  readonly management: Management;
  /** The start, or the first remote, waits for a client. */
  readonly mayWait: boolean;
  /** Opens it where it is reachable before the tunnel is, and waits for the hold's release or the end that is asked for. */
  beforeStart(): Promise<void>;
  /** ...and otherwise now. */
  started(gateway: Gateway): Promise<void>;
}

/** Undefined without `management`. Throws OperatorError for a user or a group that nobody has. */
export function manage(options: TunnelOptions, signals: Signals): Managing | undefined {
  const { config, log, listeners } = options;
  if (config.management === undefined) return undefined;
  const { clientUser, clientGroup, inTunnel, hold, queryRemote, queryProxy } = config.management;
  const identity = findIdentity(clientUser, clientGroup, 'management-client-');
  let gateway: Gateway | undefined;
  const management = new Management({
    config: config.management,
    managed: managed(options, signals, () => gateway),
    allowed: {
      uid: identity?.user?.uid,
      gid: clientGroup === undefined ? undefined : identity?.group.gid,
    },
    log,
  });
  listeners.add((line) => management.logged(line));
  return {
    management,
    mayWait: (hold && !inTunnel) || queryRemote || queryProxy,
    async beforeStart() {
      if (inTunnel) return;
      await management.open();
      await management.holdStart(signals.stopAsked);
    },
    async started(running) {
      gateway = running;
      if (inTunnel) await management.open();
    },
  };
}

function managed(options: TunnelOptions, signals: Signals, gateway: () => Gateway | undefined): Managed {
  let verb = options.config.log.verb;
  return {
    traffic: () => gateway()?.status().traffic,
    remotes: () => gateway()?.config.peers.flatMap(({ transport }) => transport.remotes.map(remoteEntry)),
    verb: () => gateway()?.verb ?? verb,
    setVerb(level) {
      verb = level;
      const running = gateway();
      if (running !== undefined) running.verb = level;
    },
    mute: options.mute,
    raise: (signal) => signals.raise(signal, 'management'),
  };
}
