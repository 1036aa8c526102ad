/**
 * The main job on one machine: two sites in network namespaces, a gateway in front of each, the tunnel between them,
 * measured from the hosts behind. Needs the kernel and Node; no `ip`, no `ping`, no configuration.
 *
 *   1. check what is needed   2. build the network   3. start the gateways, wait until both are up
 *   4. ping, traceroute, TCP, each way   5. picture   6. with `keep`: wait   7. remove everything
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plain } from '../control/colour.ts';
import {
  logTail,
  SITES,
  startGateway,
  stopGateways,
  waitUntilUp,
  writeConfigs,
  type Gateway,
} from './gateways.ts';
import { interrupted } from './errors.ts';
import { measure, type Measurements } from './measure.ts';
import { buildNetwork, closeNamespaces, forwardFrom, type Network } from './network.ts';
import { createNamespace, type NetworkNamespace } from './namespaces.ts';
import { drawLab } from './picture.ts';
import { startReaper, type Reaper } from './reaper.ts';
import type { HostName, Implementation, LabOptions, LabReport } from './report.ts';
import { checkRequirements, checkTun } from './requirements.ts';
import { HOSTS, LAB_TOPOLOGY, SITE_A, SITE_B, TUNNEL_DEVICE, type Site } from './topology.ts';

/**
 * Runs the lab from start to end. Resolves when everything is removed again; `ok` in the report says whether all
 * was as it should be. Throws OperatorError when the lab cannot be built or is interrupted before its result.
 */
export async function runLab(options: LabOptions): Promise<LabReport> {
  checkRequirements('lab');
  const prefix = `tsvpn-${randomBytes(3).toString('hex')}`;
  const folder = mkdtempSync(join(tmpdir(), `${prefix}-`));
  const reaper = startReaper();
  reaper.tell(`folder ${folder}`);
  const namespaces: NetworkNamespace[] = [];
  const gateways: Gateway[] = [];
  try {
    const network = buildNetwork(LAB_TOPOLOGY, (host) => {
      const namespace = createNamespace(`${prefix}-${host}`);
      namespaces.push(namespace);
      reaper.tell(`name ${namespace.name}`);
      return namespace;
    });
    checkTun(network.gatewaya);
    return await run({ options, network, folder, reaper, gateways });
  } catch (error) {
    if (options.signal.aborted) throw interrupted('lab');
    if (gateways.length > 0) reaper.tell('keep-folder');
    throw error;
  } finally {
    await stopGateways(gateways);
    await reaper.finish();
    closeNamespaces(namespaces);
  }
}

interface Lab {
  readonly options: LabOptions;
  readonly network: Network;
  readonly folder: string;
  readonly reaper: Reaper;
  /** Filled as they are started, for whoever must stop them. */
  readonly gateways: Gateway[];
}

async function run(lab: Lab): Promise<LabReport> {
  const { options, network, folder, reaper, gateways } = lab;
  const progress = options.progress ?? (() => {});
  const running = options.gateways ?? { a: 'tsvpn', b: options.peer };
  const implementations = new Map<Site, Implementation>([
    [SITE_A, running.a],
    [SITE_B, running.b],
  ]);
  writeConfigs(folder, implementations);
  progress(`starting ${running.a} on gateway A and ${running.b} on gateway B`);
  for (const site of SITES) {
    const implementation = implementations.get(site)!;
    const { tsvpnCommand } = options;
    const namespace = network[site.gateway];
    gateways.push(startGateway({ site, implementation, namespace, folder, tsvpnCommand, reaper }));
  }
  await waitUntilUp(gateways, options.signal);
  for (const { gateway } of SITES) forwardFrom(network[gateway], TUNNEL_DEVICE);
  const measurements = await measure(network, reaper, options, progress);
  const report = reportOf(measurements, running, network, folder);
  show(report, options);
  if (!report.ok) explainFailure(lab);
  if (options.keep) await untilInterrupted(options.signal, gateways);
  return report;
}

function reportOf(
  measurements: Measurements,
  gateways: LabReport['gateways'],
  network: Network,
  folder: string,
): LabReport {
  const shells = Object.fromEntries(
    HOSTS.map((host) => [host, `sudo nsenter --net=${network[host].path} bash`]),
  ) as Record<HostName, string>;
  return { schema: 'tsvpn.lab/1', gateways, ...measurements, shells, folder };
}

function show(report: LabReport, { json, keep, write, paint = plain }: LabOptions): void {
  if (json) {
    write(JSON.stringify(report));
    return;
  }
  for (const line of drawLab(report, paint)) write(line);
  if (!keep) return;
  write('');
  write('The lab stands until Ctrl-C. A shell on each host:');
  for (const host of HOSTS) write(`  ${host.padEnd(10)} ${report.shells[host]}`);
  write(`Configs, key and logs: ${report.folder}`);
}

function explainFailure({ gateways, folder, reaper, options }: Lab): void {
  reaper.tell('keep-folder');
  for (const gateway of gateways) {
    options.progress?.(`the end of the log of gateway ${gateway.site.letter} (${gateway.implementation}):`);
    options.progress?.(logTail(gateway));
  }
  options.progress?.(`the whole logs stay in ${folder}`);
}

async function untilInterrupted(signal: AbortSignal, gateways: readonly Gateway[]): Promise<void> {
  if (signal.aborted) return;
  const aborted = new Promise<void>((resolve) =>
    signal.addEventListener('abort', () => resolve(), { once: true }),
  );
  // The processes are watched by the reaper; that they run keeps this one alive, too.
  await Promise.race([aborted, Promise.all(gateways.map(({ ended }) => ended))]);
}
