/** The kernel's side of the gateway: addresses of the device and routes, which follow the config, the operator and the host. */
import type { GatewayConfig } from '../config/model.ts';
import type { KernelSetup } from '../kernel/apply.ts';
import type { KernelChange } from '../kernel/change.ts';
import {
  besides,
  planDevice,
  planDifference,
  planKernel,
  planOperatorRoutes,
  withoutRepetitions,
} from '../kernel/plan.ts';
import { NO_HOST, planRedirect, redirectHost, type RedirectHost } from '../kernel/redirect.ts';
import type { HostSnapshot } from '../kernel/snapshot.ts';
import type { Prefix } from '../packet/prefix.ts';

/** What is to be there: nothing yet (`up-delay`), the device as configured, the routes as well. */
export type Stage = 'nothing' | 'device' | 'routes';

export class KernelRoom {
  stage: Stage = 'nothing';
  private readonly setup: KernelSetup;
  private readonly device: string;
  /** What `plan` was made from. */
  private planned: { readonly config: GatewayConfig | undefined; readonly stage: Stage };
  /** What the config asks of the kernel. */
  private plan: readonly KernelChange[] = [];
  /** What the operator's routes and a redirected gateway ask besides. */
  private extra: readonly KernelChange[] = [];
  private host: RedirectHost = NO_HOST;
  private remotes: readonly string[] = [];
  private redirected = true;

  constructor(setup: KernelSetup, device: string) {
    this.setup = setup;
    this.device = device;
    this.planned = { config: undefined, stage: this.stage };
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
    const { stage } = this;
    const isSame = config === this.planned.config && stage === this.planned.stage;
    const plan = isSame ? this.plan : this.planOf(config);
    const extra = this.extraOf(config, plan, operatorPrefixes);
    this.setup.change(
      isSame
        ? planDifference(this.extra, extra)
        : planDifference([...this.plan, ...this.extra], [...plan, ...extra]),
    );
    this.planned = { config, stage };
    this.plan = plan;
    this.extra = extra;
  }

  /**
   * The host as it is now. A default gateway that is gone stays the one to go by: we may have displaced it ourselves. True when
   * something that the redirected gateway depends on has changed.
   */
  observe(snapshot: HostSnapshot): boolean {
    const found = redirectHost(snapshot);
    const gateways = { ...this.host.gateways, ...found.gateways };
    const changed = JSON.stringify(gateways) !== JSON.stringify(this.host.gateways);
    this.host = { ...found, gateways };
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

  private planOf(config: GatewayConfig): KernelChange[] {
    if (this.stage === 'nothing') return [];
    return this.stage === 'device' ? planDevice(config, this.device) : planKernel(config, this.device);
  }

  private extraOf(
    config: GatewayConfig,
    plan: readonly KernelChange[],
    operatorPrefixes: readonly Prefix[],
  ): KernelChange[] {
    const { redirect, routeNoExec, nat } = config;
    if (this.stage !== 'routes' || routeNoExec) return [];
    const operator = planOperatorRoutes(plan, operatorPrefixes, this.device);
    if (redirect === undefined || !this.redirected) return operator;
    const target = { device: this.device, table: nat.table + 1, remotes: this.remotes };
    return withoutRepetitions([...operator, ...besides(plan, planRedirect(redirect, target, this.host))]);
  }
}
