/** The kernel's side of the gateway: addresses of the device and routes, which follow the config and the operator. */
import type { GatewayConfig } from '../config/model.ts';
import type { KernelSetup } from '../kernel/apply.ts';
import type { KernelChange } from '../kernel/change.ts';
import { planDifference, planKernel } from '../kernel/plan.ts';
import type { Prefix } from '../packet/prefix.ts';

export class KernelRoom {
  private readonly setup: KernelSetup;
  private readonly device: string;
  private plan: readonly KernelChange[] = [];

  constructor(setup: KernelSetup, device: string) {
    this.setup = setup;
    this.device = device;
  }

  /**
   * Makes the kernel what config and operator want, by the difference to what they wanted before. Throws OperatorError
   * when the kernel refuses; calling it again then tries again.
   */
  follow(config: GatewayConfig, operatorPrefixes: readonly Prefix[]): void {
    const wanted = planKernel(config, this.device, operatorPrefixes);
    this.setup.change(planDifference(this.plan, wanted));
    this.plan = wanted;
  }

  undo(): void {
    this.setup.undo();
  }
}
