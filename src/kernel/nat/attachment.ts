/** The NAT of one gateway in the kernel: attach once, check often. KernelSetup.undo() takes it back with the rest. */
import type { GatewayConfig } from '../../config/model.ts';
import { OperatorError } from '../../errors.ts';
import { withNetlink } from '../../ffi/netlink.ts';
import { formatAddress } from '../../packet/address.ts';
import type { KernelLog, KernelSetup } from '../apply.ts';
import type { KernelChange } from '../change.ts';
import { readSetting } from '../device-settings.ts';
import { openEgressLookup } from '../egress.ts';
import { planDifference, withoutRepetitions } from '../plan.ts';
import { linkByName, type Link } from '../rtnetlink.ts';
import { hostInterfaces } from '../snapshot.ts';
import { announceAddress, probeAddress } from './arp.ts';
import { refusal } from './finding.ts';
import { planNat, type Alias, type NatPlan } from './plan.ts';
import { preflight } from './preflight.ts';

/** How often check() should be called, besides when the kernel says that something has changed. */
export const CHECK_INTERVAL_MS = 5000;

const CONTEST_REPAIRS = 3;
const CONTEST_MS = 60_000;

export interface CheckResult {
  readonly plan: NatPlan;
  /** Commands that equal what was put back, or follows from a change of the host. Empty: all was well. */
  readonly made: readonly string[];
  /** An address of the plan is another one now, or has come or gone: the NAT needs new rules. */
  readonly addressesChanged: boolean;
  /** What could not be put right; tried again at the next check. */
  readonly problem: string | undefined;
  /** The third repair within a minute: somebody keeps taking away what we put back. */
  readonly contested: boolean;
}

const NOTHING: NatPlan = {
  changes: [],
  addresses: [],
  icmpAddresses: [],
  captures: [],
  aliases: [],
  interfaces: new Map(),
  missing: [],
};

export class NatAttachment {
  private readonly device: string;
  private readonly setup: KernelSetup;
  private readonly log: KernelLog;
  private config: GatewayConfig | undefined;
  private current = NOTHING;
  /** Changes that may be in the kernel: those of the current plan, and of earlier ones that failed half-way. */
  private applied: readonly KernelChange[] = [];
  /** Times of the last repairs, milliseconds. */
  private repairs: readonly number[] = [];

  /** `setup` is the gateway's; the device is open, has its addresses and is up. */
  constructor(options: { readonly device: string; readonly setup: KernelSetup; readonly log: KernelLog }) {
    this.device = options.device;
    this.setup = options.setup;
    this.log = options.log;
  }

  /**
   * Makes the kernel do what the NAT lines of `config` need, and no longer what an earlier config needed. Looks before it leaps,
   * see preflight.ts; takes up to 0.6 s for each new alias, to see whether it is in use. Throws OperatorError or
   * OperatorErrors: from the look, with nothing changed; from a change, with those before it made.
   */
  async attach(config: GatewayConfig): Promise<NatPlan> {
    const plan = readNatPlan(config, this.device);
    const known = new Set(this.current.aliases.map(({ address }) => formatAddress(address)));
    const newAliases = plan.aliases.filter(({ address }) => !known.has(formatAddress(address)));
    for (const { what, why, fix } of preflight(config, this.device, plan, this.applied)) {
      this.log.warn(`${what}: ${why}; what helps:`);
      for (const line of fix.split('\n')) this.log.warn(line);
    }
    for (const alias of newAliases) await checkUnused(alias);
    for (const missing of plan.missing)
      this.log.warn(`nat: ${missing}: packets are dropped until that has changed`);
    this.config = config;
    this.follow(plan);
    for (const alias of newAliases) announce(alias);
    return plan;
  }

  /** Looks at the host again, follows its changes, and puts back what somebody has taken away. Idempotent. */
  check(): CheckResult {
    const before = this.current;
    const plan = this.config === undefined ? NOTHING : readNatPlan(this.config, this.device);
    const addressesChanged = addressText(before) !== addressText(plan);
    try {
      const made = this.follow(plan);
      const repaired = made.length > 0 && !addressesChanged;
      return { plan, made, addressesChanged, problem: undefined, contested: repaired && this.isContested() };
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
      const problem = `${error.what}: ${error.why ?? ''}`;
      return { plan, made: [], addressesChanged, problem, contested: false };
    }
  }

  private isContested(): boolean {
    const now = performance.now();
    this.repairs = [...this.repairs.filter((time) => now - time < CONTEST_MS), now];
    return this.repairs.length >= CONTEST_REPAIRS;
  }

  /** The new first, so that what both plans have is never absent. */
  private follow(plan: NatPlan): readonly string[] {
    const { toRemove } = planDifference(this.applied, plan.changes);
    this.applied = withoutRepetitions([...this.applied, ...plan.changes]);
    this.current = plan;
    const made = this.setup.apply(plan.changes);
    const { undone, failed } = this.setup.remove(toRemove);
    if (failed.length === 0) this.applied = plan.changes;
    return [...made, ...undone];
  }
}

/** What the NAT lines need of this host as it is now. */
export function readNatPlan(config: GatewayConfig, device: string): NatPlan {
  const egress = openEgressLookup();
  try {
    return planNat(config, device, {
      ...hostInterfaces(),
      egressDevice: (address) => egress.find(address)?.device,
      ipv6Forwarding: readSetting({ family: 6, device: 'all', name: 'forwarding' }) === 1,
    });
  } finally {
    egress.close();
  }
}

function addressText({ addresses }: NatPlan): string {
  return addresses.map((address) => (address === undefined ? '' : formatAddress(address))).join();
}

/** IPv6 has its own detection, and the kernel answers for a neighbour only where it is a router. */
async function checkUnused({ address, device, configured, where }: Alias): Promise<void> {
  const lan = findEthernet(device);
  if (configured || address.length !== 4 || lan === undefined) return;
  const holder = await probeAddress(lan, address);
  if (holder === undefined) return;
  throw refusal({
    code: 'NAT_ALIAS_TAKEN',
    what: `${formatAddress(address)} is in use on ${device}`,
    why: `the host with the hardware address ${Buffer.from(holder).toString('hex').replace(/..\B/g, '$&:')} answered for it`,
    fix: 'name an address that no host has, and keep DHCP from giving it out',
    where,
  });
}

function announce({ address, device, configured }: Alias): void {
  const lan = findEthernet(device);
  if (!configured && address.length === 4 && lan !== undefined) announceAddress(lan, address);
}

/** Undefined for what is gone, or is no Ethernet. */
function findEthernet(device: string): Link | undefined {
  const link = withNetlink((netlink) => linkByName(netlink, device));
  return link?.hardwareAddress.length === 6 && link.up ? link : undefined;
}
