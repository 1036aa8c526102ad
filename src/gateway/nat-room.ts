/** NAT, seen from the main thread: the kernel's attachment, the addresses the host has now, and the rules that follow from them. */
import type { GatewayConfig } from '../config/model.ts';
import type { Logger } from '../control/log.ts';
import type { EngineCommand } from '../engine/messages.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import { OsError } from '../ffi/libc.ts';
import { CHECK_INTERVAL_MS, type CheckResult, type NatAttachment } from '../kernel/nat/attachment.ts';
import type { NatPlan } from '../kernel/nat/plan.ts';
import { openRawIcmp } from '../kernel/nat/raw-icmp.ts';
import { formatAddress, parseAddress } from '../packet/address.ts';
import { natSettings } from './nat-settings.ts';
import type { PeerIndexes } from './routing.ts';

export interface NatRoomOptions {
  readonly attachment: NatAttachment;
  readonly log: Logger;
  readonly send: (command: EngineCommand) => void;
}

const ANY_ADDRESS = new Uint8Array(4);

export class NatRoom {
  private readonly options: NatRoomOptions;
  private readonly timer: NodeJS.Timeout;
  private config: GatewayConfig | undefined;
  private indexes: PeerIndexes = new Map();
  private plan: NatPlan | undefined;
  /** Addresses whose ICMP messages we get copies of, as text. */
  private icmpAddress: string | undefined;
  /** Said already. */
  private problem: string | undefined;

  constructor(options: NatRoomOptions) {
    this.options = options;
    this.timer = setInterval(() => this.check(), CHECK_INTERVAL_MS);
    this.timer.unref();
  }

  /** Makes the kernel ready for the NAT lines of a config. Throws OperatorError or OperatorErrors; see NatAttachment. */
  async attach(config: GatewayConfig): Promise<void> {
    const needed = config.nat.lines.length > 0 || (this.config?.nat.lines.length ?? 0) > 0;
    if (needed) this.plan = await this.options.attachment.attach(config);
    this.config = config;
  }

  /** Sends the rules. The data plane knows the peers by these numbers. Throws OperatorError without CAP_NET_RAW. */
  follow(indexes: PeerIndexes): void {
    this.indexes = indexes;
    this.send();
  }

  /** The host may have changed. */
  check(): void {
    const { config, plan } = this;
    if (config === undefined || plan === undefined || config.nat.lines.length === 0) return;
    const result = this.options.attachment.check();
    this.plan = result.plan;
    this.report(result);
    if (!result.addressesChanged) return;
    try {
      this.send();
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
      this.complain(error.what);
    }
  }

  close(): void {
    clearInterval(this.timer);
  }

  private send(): void {
    const { config, plan, indexes, options } = this;
    if (config === undefined || plan === undefined) return;
    const [address] = config.device.addresses;
    const tunnelAddress = address === undefined ? undefined : parseAddress(address.local);
    const { addresses } = plan;
    this.openIcmp(plan);
    options.send({
      kind: 'nat',
      settings: natSettings(config, { addresses, tunnelAddress, peers: indexes }),
    });
  }

  /** ICMP about sessions of this host's own address reaches us by a raw socket. */
  private openIcmp({ icmpAddresses }: NatPlan): void {
    const address = icmpAddresses.length > 1 ? ANY_ADDRESS : icmpAddresses[0];
    const text = address === undefined ? undefined : formatAddress(address);
    if (text === this.icmpAddress) return;
    const fd = address === undefined ? undefined : openIcmpSocket(address);
    this.icmpAddress = text;
    this.options.send({ kind: 'icmp-socket', fd });
  }

  private report({ made, addressesChanged, problem, contested }: CheckResult): void {
    const { log } = this.options;
    if (contested) {
      log.error(
        { code: 'NAT_CONTESTED' },
        'nat: another program keeps changing what NAT needs: see the repairs above, and what manages routes and rules here',
      );
    }
    if (addressesChanged) log.info('nat: addresses of this host have changed, and the rules with them');
    else if (made.length > 0) {
      log.warn({ code: 'NAT_REPAIRED' }, `nat: put right what somebody has changed: ${made.join(' && ')}`);
    }
    this.complain(problem);
  }

  /** Once for as long as it is the same. */
  private complain(problem: string | undefined): void {
    if (problem !== undefined && problem !== this.problem)
      this.options.log.error({ code: 'NAT_CHECK' }, `nat: ${problem}`);
    this.problem = problem;
  }
}

function openIcmpSocket(address: Uint8Array): number {
  try {
    return openRawIcmp(address);
  } catch (error) {
    if (!(error instanceof OsError)) throw error;
    throw new OperatorError({
      code: 'NAT_ICMP_SOCKET',
      what: `cannot open a raw ICMP socket for ${formatAddress(address)}: ${error.message}`,
      why: 'pings and ICMP errors of translated sessions come by it',
      fix: 'run tsvpn with CAP_NET_RAW; if the address has just gone, the next check tries again',
      directives: ['nat'],
      exitCode: error.code === 'EPERM' ? ExitCode.Privilege : ExitCode.Failure,
      cause: error,
    });
  }
}
