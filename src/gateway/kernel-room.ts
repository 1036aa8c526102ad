/** The kernel's side of the gateway: addresses of the device and routes, which follow the config and the operator. */
import type { GatewayConfig } from '../config/model.ts';
import type { KernelSetup } from '../kernel/apply.ts';
import type { KernelChange } from '../kernel/change.ts';
import { planDifference, planKernel, planOperatorRoutes } from '../kernel/plan.ts';
import type { Prefix } from '../packet/prefix.ts';

export class KernelRoom {
  private readonly setup: KernelSetup;
  private readonly device: string;
  private config: GatewayConfig | undefined;
  /** What the config asks of the kernel. */
  private plan: readonly KernelChange[] = [];
  /** What the operator's routes ask besides. */
  private extra: readonly KernelChange[] = [];

  constructor(setup: KernelSetup, device: string) {
    this.setup = setup;
    this.device = device;
  }

  /**
   * Makes the kernel what config and operator want, by the difference to what they wanted before. Throws OperatorError
   * when the kernel refuses; calling it again then tries again.
   */
  follow(config: GatewayConfig, operatorPrefixes: readonly Prefix[]): void {
    const isSame = config === this.config;
    const plan = isSame ? this.plan : planKernel(config, this.device);
    const extra = config.routeNoExec ? [] : planOperatorRoutes(plan, operatorPrefixes, this.device);
    this.setup.change(
      isSame
        ? planDifference(this.extra, extra)
        : planDifference([...this.plan, ...this.extra], [...plan, ...extra]),
    );
    this.config = config;
    this.plan = plan;
    this.extra = extra;
  }

  undo(): void {
    this.setup.undo();
  }
}
