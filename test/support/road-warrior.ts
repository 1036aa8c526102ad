/**
 * Field case 1 of source NAT: a stock OpenVPN client reaches a LAN that has no route back, through tsvpn. The configs are
 * those of examples/nat-road-warrior.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { COMPLETED, startGateway, writeKey } from './gateway.ts';
import { staticKeyText } from './keys.ts';
import { capture, NAT, packetsOf, type NatLab } from './nat-lab.ts';
import type { Namespace } from './netns.ts';
import type { Daemon } from './process.ts';
import { expectPingWithin } from './traffic.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/nat-road-warrior');
const PROBE = join(import.meta.dirname, 'probe.mjs');
const SENDER = join(import.meta.dirname, 'send-packets.mjs');

/** Out of the gateway's address, or out of a spare one. */
export type Mode = 'range' | 'alias';

export interface RoadWarrior {
  readonly lab: NatLab;
  readonly mode: Mode;
  /** What the LAN sees of the client. */
  readonly external: string;
  gateway: Daemon;
  client: Daemon;
}

export function gatewayConfig(mode: Mode): string {
  const text = readFileSync(join(EXAMPLE, 'gateway.conf'), 'utf8');
  return mode === 'range' ? text : text.replace('eth1 masquerade', `eth1 to ${NAT.alias}`);
}

/** Starts both ends and waits until packets pass. `lines` are appended to both configs, or to the gateway's. */
export async function startRoadWarrior(
  lab: NatLab,
  mode: Mode,
  lines: { readonly both?: string; readonly gateway?: string } = {},
): Promise<RoadWarrior> {
  writeKey(lab, 'static.key', staticKeyText());
  const { both = '', gateway = '' } = lines;
  const client = `${readFileSync(join(EXAMPLE, 'client.conf'), 'utf8')}\n${both}`;
  const started = {
    lab,
    mode,
    external: mode === 'range' ? NAT.gateway : NAT.alias,
    gateway: startNatGateway(lab, `${gatewayConfig(mode)}\n${both}\n${gateway}`),
    client: startGateway(lab, lab.client, { implementation: 'openvpn', name: 'client', config: client }),
  };
  // The first packet tells the gateway where the client is.
  await expectPingWithin(lab.client, NAT.tunnelGateway);
  await Promise.all([started.gateway.waitFor(COMPLETED), started.client.waitFor(COMPLETED)]);
  return started;
}

/** tsvpn in the gateway, named `gateway`. */
export function startNatGateway(lab: NatLab, config: string): Daemon {
  return startGateway(lab, lab.gateway, { implementation: 'tsvpn', name: 'gateway', config });
}

export async function stopRoadWarrior({ gateway, client }: RoadWarrior): Promise<void> {
  await Promise.all([gateway.stop(), client.stop()]);
}

/** A probe server; ends with the lab. */
export async function listen(
  at: Namespace,
  protocol: 'tcp' | 'udp',
  address: string,
  port: number,
): Promise<Daemon> {
  const daemon = at.spawn([process.execPath, PROBE, `${protocol}-listen`, address, String(port)]);
  await daemon.waitFor(/listening/);
  return daemon;
}

export interface ProbeResult {
  readonly seenAs?: string;
  readonly error?: string;
  readonly sent?: string;
  readonly size?: number;
  readonly sha256?: string;
  readonly ms: number;
  /** Of udp-many, besides a number for each kind of error. */
  readonly answered?: number;
  readonly EHOSTUNREACH?: number;
}

/** Runs a client of probe.mjs. */
export async function probe(at: Namespace, ...words: readonly (string | number)[]): Promise<ProbeResult> {
  const output = await at.mustRun([process.execPath, PROBE, ...words.map(String)]);
  return JSON.parse(output) as ProbeResult;
}

/** A client of probe.mjs that runs on. */
export function startProbe(at: Namespace, ...words: readonly (string | number)[]): Daemon {
  return at.spawn([process.execPath, PROBE, ...words.map(String)]);
}

/** Sends IPv4 packets from a namespace as they are, in the order given. */
export async function sendPackets(at: Namespace, packets: readonly Buffer[]): Promise<void> {
  const input = packets.map((packet) => packet.toString('hex')).join('\n');
  await at.mustRun([process.execPath, SENDER], { input });
}

/** The records a probe has printed so far. */
export function records(daemon: Daemon): ProbeRecord[] {
  return daemon.log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as ProbeRecord);
}

export interface ProbeRecord {
  readonly from: string;
  readonly size: number;
  readonly sha256: string;
  readonly replied: string;
}

/** A capture on the LAN side of packets with an address that must never be seen there. */
export function captureLeaks({ gateway }: NatLab): Promise<Daemon> {
  return capture(gateway, 'eth1', 'src net 10.8.0.0/24');
}

/** After a packet that must be captured if the capture works at all. */
export function expectNoLeak(leaks: Daemon): void {
  expect(packetsOf(leaks)).toEqual([]);
}
