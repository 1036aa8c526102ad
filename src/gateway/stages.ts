/**
 * What happens to the device and the routes, in order, and the scripts in between:
 *
 *     device    addresses, up → `up`                     at the start, or when a peer is heard (`up-delay`)
 *     routes    routes, redirected gateway → `route-up`  when the remotes are looked up, or later (`route-delay`)
 *     end       `route-pre-down` → (`down-pre`: routes taken back → `down`) → device closed → `down`
 *
 * A redirected gateway is there only while the outer addresses of all peers are known: names could not be looked up otherwise,
 * and packets to a peer would go into the tunnel they are made for.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expandRoutes, isLate } from '../config/build/late-routes.ts';
import type { GatewayConfig, LateRoute, PeerConfig, ScriptName } from '../config/model.ts';
import type { Logger } from '../control/log.ts';
import type { Overseer, StateChange } from '../control/overseer.ts';
import { formatPosition, locate, OperatorError } from '../errors.ts';
import { snapshot } from '../kernel/snapshot.ts';
import { addressBytes } from '../packet/address.ts';
import type { KernelRoom } from './kernel-room.ts';
import { settle, type Room } from './room.ts';
import type { ScriptContext, ScriptMoment } from './script-environment.ts';
import type { Scripts } from './scripts.ts';
import { addingRoutes, assigning } from './states.ts';
import { inOneLine } from './warnings.ts';

/** A host name in a route is given up after so long, milliseconds. */
const LOOKUP_LIMIT_MS = 10_000;

export interface StagesOptions {
  readonly kernel: KernelRoom;
  readonly scripts: Scripts;
  readonly device: string;
  readonly overseer: Overseer;
  readonly log: Logger;
}

/** Where a peer is, seen from the outside. */
export interface OuterPeer {
  readonly name: string;
  /** The peer has `remote` lines. */
  readonly hasRemote: boolean;
  /** The address it is called at, or was heard from. */
  readonly address: string | undefined;
}

export class Stages {
  /** Resolves when the routes have been made for the first time. */
  readonly settled: Promise<void>;
  /** The config as it was loaded; that of the room has the late routes among the others. */
  private base: GatewayConfig;
  private readonly options: StagesOptions;
  /** Endpoint of the peer that was heard last. */
  private trusted: string | undefined;
  private outer: readonly OuterPeer[] = [];
  /** What waits for the first peer that is heard. */
  private delayed: Promise<void> | undefined;
  private upDone = false;
  /** `down` was run for a restart, and `up` is to follow. */
  private restartPending = false;
  private ended = false;
  /** The routes have been made once: `redirect_gateway` is told from `route-up` on. */
  private routed = false;
  /** What `up` was run for last. */
  private context: ScriptContext = 'init';
  private settle: () => void = () => undefined;

  constructor(config: GatewayConfig, options: StagesOptions) {
    this.base = config;
    this.options = options;
    this.settled = new Promise((resolve) => (this.settle = resolve));
    this.setOuter(config.peers.map(firstRemote));
  }

  /** Configures the device and runs `up`. Throws OperatorError when either fails. */
  async raiseDevice(config: GatewayConfig): Promise<void> {
    const { kernel } = this.options;
    kernel.observe(snapshot(this.options.device));
    this.tell(assigning(config));
    kernel.stage = 'device';
    kernel.follow(config, []);
    const error = await this.script(await this.expand(config, () => undefined), 'up');
    if (error !== undefined) throw error;
    this.upDone = true;
  }

  /** The sockets are open. Throws OperatorError when the kernel refuses a route. */
  async connected(room: Room): Promise<void> {
    const { scripts, routeDelaySec } = room.config;
    if (!scripts.upDelay && routeDelaySec === undefined) await this.raiseRoutes(room);
  }

  /** Runs `ipchange`, and does what has waited for a peer. Throws OperatorError when that fails. */
  async heard(room: Room, peer: string, endpoint: string): Promise<void> {
    const { peers } = room.config;
    this.trusted = endpoint;
    await this.script(room.config, 'ipchange', this.context, peers.length > 1 ? { peer } : {});
    this.delayed ??= this.raiseDelayed(room);
    await this.delayed;
  }

  private async raiseDelayed(room: Room): Promise<void> {
    const { scripts, routeDelaySec } = room.config;
    if (this.ended) return;
    if (scripts.upDelay) await this.raiseDevice(room.config);
    if (routeDelaySec !== undefined) await sleep(routeDelaySec * 1000, undefined, { ref: false });
    if (!this.ended && this.options.kernel.stage === 'device') await this.raiseRoutes(room);
  }

  /** `up-restart`: a tunnel of one peer restarts. */
  async restarting(room: Room, signal: string): Promise<OperatorError | undefined> {
    if (!this.restartsScripts(room.config) || this.restartPending) return undefined;
    this.restartPending = true;
    this.context = 'restart';
    return this.script(room.config, 'down', 'restart', { signal });
  }

  /** ...and has a socket again. */
  async restarted(room: Room): Promise<OperatorError | undefined> {
    if (!this.restartPending || this.ended) return undefined;
    this.restartPending = false;
    return this.script(room.config, 'up', 'restart');
  }

  /** Where the peers are: routes depend on it. Problems are logged. */
  async follow(room: Room, peers: readonly OuterPeer[]): Promise<void> {
    const { kernel, log } = this.options;
    const before = JSON.stringify(this.outer);
    this.setOuter(room.config.persistTun ? withLastKnown(peers, this.outer) : peers);
    if (JSON.stringify(this.outer) === before) return;
    if (kernel.stage !== 'routes' || this.ended) return;
    try {
      await this.settleRoutes(room);
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
      log.error({ code: error.code }, inOneLine(locate(error, room.config.lines)));
    }
  }

  /** From here on routes follow from this config. */
  takeOver(base: GatewayConfig): void {
    this.base = base;
  }

  /** A config that was loaded, with the routes that only this host can tell. */
  async expand(
    base: GatewayConfig,
    missing = (route: LateRoute, word: string) => this.warnMissing(route, word),
  ): Promise<GatewayConfig> {
    if (base.lateRoutes.length === 0) return base;
    const { kernel } = this.options;
    const words = base.lateRoutes.flatMap(({ network, gateway }) => [network, gateway]);
    const names = new Set(
      words.filter((word) => isLate(word) && !/^(?:net_gateway|remote_host)$/.test(word)),
    );
    const hosts = new Map(
      await Promise.all([...names].map(async (name) => [name, await addressesOf(name)] as const)),
    );
    const meaning = (word: string, route: LateRoute): readonly string[] => {
      if (word === 'net_gateway') return [kernel.gateways[4]?.address ?? []].flat();
      return word === 'remote_host' ? this.remotesOf(route.peer) : (hosts.get(word) ?? []);
    };
    return expandRoutes(base, meaning, missing);
  }

  /** The config has changed, and what follows from it was made. */
  async reloaded(room: Room): Promise<void> {
    if (this.options.kernel.stage === 'routes') await this.script(room.config, 'route-up');
  }

  /** Before the device is closed; returns what went wrong. */
  async lower(room: Room, signal: string): Promise<OperatorError[]> {
    this.ended = true;
    if (!this.upDone) return [];
    const { kernel } = this.options;
    if (this.routed) this.tellUpDown(room.config, 'DOWN');
    const errors = [await this.script(room.config, 'route-pre-down', 'init', { signal })];
    if (room.config.scripts.downPre && room.config.scripts.commands.down !== undefined) {
      kernel.stage = 'device';
      kernel.follow(room.config, []);
      errors.push(await this.script(room.config, 'down', 'init', { signal }));
    }
    return errors.flatMap((error) => error ?? []);
  }

  /** The device is closed, and the kernel as it was. */
  async lowered(config: GatewayConfig, signal: string): Promise<OperatorError[]> {
    this.ended = true;
    if (!this.upDone || config.scripts.downPre) return [];
    return [(await this.script(config, 'down', 'init', { signal })) ?? []].flat();
  }

  private async raiseRoutes(room: Room): Promise<void> {
    const { kernel } = this.options;
    this.tell(addingRoutes(room.config));
    kernel.stage = 'routes';
    await this.settleRoutes(room);
    this.routed = true;
    if (this.ended) return;
    await this.script(room.config, 'route-up');
    this.tellUpDown(room.config, 'UP');
    this.settle();
  }

  private async settleRoutes(room: Room): Promise<void> {
    const config = await this.expand(this.base);
    if (this.ended) return;
    if (config.lateRoutes.length > 0) {
      room.config = config;
      room.peers.reconfigure(config.peers);
      room.routing.configure(config, room.peers.indexes());
    }
    settle(room);
  }

  private warnMissing({ where }: LateRoute, word: string): void {
    const what = `${formatPosition(where)}: the route is left out: ${word} is not known now`;
    this.options.log.warn({ code: 'ROUTE_UNRESOLVED' }, what);
  }

  private setOuter(peers: readonly OuterPeer[]): void {
    const { kernel } = this.options;
    this.outer = peers;
    kernel.setRemotes(peers.flatMap(({ address }) => address ?? []));
    kernel.setRedirected(peers.every(({ hasRemote, address }) => !hasRemote || address !== undefined));
  }

  private remotesOf(peer: string | undefined): string[] {
    return this.outer.flatMap(({ name, address }) =>
      (peer === undefined || name === peer) && address !== undefined && addressBytes(address)?.length === 4
        ? [address]
        : [],
    );
  }

  /** A peer among several restarts alone, and the device has nothing to do with it. */
  private restartsScripts({ scripts, peers }: GatewayConfig): boolean {
    return scripts.upRestart && peers.length === 1 && this.upDone && !this.ended;
  }

  private script(
    config: GatewayConfig,
    name: ScriptName,
    context: ScriptContext = 'init',
    more: Pick<ScriptMoment, 'signal' | 'peer'> | object = {},
  ): Promise<OperatorError | undefined> {
    return this.options.scripts.run(config, { name, ...this.moment(context), ...more });
  }

  private moment(context: ScriptContext): Omit<ScriptMoment, 'name'> {
    const { kernel, device } = this.options;
    return {
      context,
      device: kernel.stage === 'nothing' ? undefined : device,
      routed: this.routed,
      gateways: { ipv4: kernel.gateways[4]?.address, ipv6: kernel.gateways[6]?.address },
      trusted: this.trusted,
    };
  }

  private tell(change: StateChange | undefined): void {
    if (change !== undefined) this.options.overseer.state(change);
  }

  private tellUpDown(config: GatewayConfig, direction: 'UP' | 'DOWN'): void {
    const { overseer, scripts } = this.options;
    overseer.upDown(direction, scripts.environment(config, this.moment('init')));
  }
}

/** As far as it is known without looking names up. */
function firstRemote({ name, transport: { remotes } }: PeerConfig): OuterPeer {
  const host = remotes.at(0)?.host;
  const address = host === undefined || isIP(host) === 0 ? undefined : host;
  return { name, hasRemote: remotes.length > 0, address };
}

/** `persist-tun`: routes stay as they are while a peer is looked up again. */
function withLastKnown(peers: readonly OuterPeer[], last: readonly OuterPeer[]): OuterPeer[] {
  return peers.map((peer) => {
    const known = last.find(({ name }) => name === peer.name)?.address;
    return { ...peer, address: peer.address ?? known };
  });
}

async function addressesOf(name: string): Promise<string[]> {
  const none = sleep(LOOKUP_LIMIT_MS, [], { ref: false });
  const found = lookup(name, { all: true, family: 4 }).then(
    (all) => all.map(({ address }) => address),
    () => [],
  );
  return Promise.race([found, none]);
}
