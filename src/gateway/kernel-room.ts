/** The kernel's side of the gateway: addresses of the device and routes, which follow the config, the operator and the host. */
import type { GatewayConfig } from '../config/model.ts';
import type { KernelSetup } from '../kernel/apply.ts';
import type { KernelChange } from '../kernel/change.ts';
import { planDevice, planDifference, planRoutes, withoutRepetitions } from '../kernel/plan.ts';
import { planRedirect, redirectHost, type RedirectHost } from '../kernel/redirect.ts';
import type { HostSnapshot } from '../kernel/snapshot.ts';
import type { Prefix } from '../packet/prefix.ts';

/** What is to be there: nothing yet (`up-delay`), the device as configured, the routes as well. */
export type Stage = 'nothing' | 'device' | 'routes';

export class KernelRoom {
  stage: Stage = 'nothing';
  private readonly setup: KernelSetup;
  private readonly device: string;
  private plan: readonly KernelChange[] = [];
  private host: RedirectHost = { gateways: {}, routes: [] };
  private remotes: readonly string[] = [];
  private redirected = true;

  constructor(setup: KernelSetup, device: string) {
    this.setup = setup;
    this.device = device;
  }

  /** Next hops of the host's default routes, ours left out. */
  get gateways(): RedirectHost['gateways'] {
    return this.host.gateways;
  }

  /**
   * Makes the kernel what config and operator want at this stage, by the difference to what they wanted before. Throws
   * OperatorError when the kernel refuses; calling it again then tries again.
   */
  follow(config: GatewayConfig, operatorPrefixes: readonly Prefix[]): void {
    const wanted = this.wanted(config, operatorPrefixes);
    this.setup.change(planDifference(this.plan, wanted));
    this.plan = wanted;
  }

  /**
   * The host as it is now. A default gateway that is gone stays the one to go by: we may have displaced it ourselves. True when
   * something that the redirected gateway depends on has changed.
   */
  observe(snapshot: HostSnapshot): boolean {
    const found = redirectHost(snapshot, this.device);
    const gateways = { ...this.host.gateways, ...found.gateways };
    const changed = JSON.stringify(gateways) !== JSON.stringify(this.host.gateways);
    this.host = { gateways, routes: found.routes };
    return changed;
  }

  /** Outer addresses of the peers. */
  setRemotes(remotes: readonly string[]): void {
    this.remotes = remotes;
  }

  /** False takes the redirected gateway back for a while: names have to be looked up somewhere. */
  setRedirected(redirected: boolean): void {
    this.redirected = redirected;
  }

  undo(): void {
    this.setup.undo();
  }

  private wanted(config: GatewayConfig, operatorPrefixes: readonly Prefix[]): KernelChange[] {
    if (this.stage === 'nothing') return [];
    const device = planDevice(config, this.device);
    if (this.stage === 'device') return device;
    return withoutRepetitions([
      ...device,
      ...planRoutes(config, this.device, operatorPrefixes),
      ...this.redirect(config),
    ]);
  }

  private redirect({ redirect, routeNoExec, nat }: GatewayConfig): KernelChange[] {
    if (redirect === undefined || routeNoExec || !this.redirected) return [];
    const target = { device: this.device, table: nat.table + 1, remotes: this.remotes };
    return planRedirect(redirect, target, this.host);
  }
}
