/** What only shows when all peers are known: that they can be told apart, and do not contradict each other. */
import { checkAddresses } from './checks/addresses.ts';
import { checkEndpoints } from './checks/endpoints.ts';
import { checkNames } from './checks/names.ts';
import { checkNatOrder, checkNetmaps } from './checks/nat.ts';
import type { BuiltPeer } from './checks/pair.ts';
import { checkLoops, checkPrefixes, checkReached } from './checks/prefixes.ts';
import { checkDeviceTypes } from './checks/tap.ts';
import type { Draft } from './draft.ts';
import { warn } from './findings.ts';
import type { Findings } from './findings.ts';
import type { GatewayConfig } from './model.ts';

function checkClientToClient(
  peers: readonly BuiltPeer[],
  drafts: readonly Draft[],
  findings: Findings,
): void {
  const line = drafts.flatMap(({ settings }) => settings.clientToClient ?? []).at(0);
  if (line === undefined || peers.length > 1) return;
  warn(findings, line.where, 'CONFIG_NO_EFFECT', 'client-to-client has no effect: there is one peer', {
    fix: 'remove the line, or add peers: `tsvpn up a.conf b.conf`, or <peer> blocks',
  });
}

/** Records everything that is wrong between the peers. `peers` are those of `config`, in its order. */
export function checkGateway(
  config: GatewayConfig,
  peers: readonly BuiltPeer[],
  drafts: readonly Draft[],
  findings: Findings,
): void {
  checkDeviceTypes(config, peers, drafts, findings);
  checkNames(peers, findings);
  checkEndpoints(peers, findings);
  checkAddresses(peers, findings);
  checkPrefixes(peers, config.refusals, findings);
  checkLoops(peers, findings);
  if (config.device.type === 'tun') checkReached(peers, findings);
  checkClientToClient(peers, drafts, findings);
  checkNatOrder(config.nat.lines, findings);
  checkNetmaps(peers, findings);
}
