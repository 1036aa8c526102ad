/** One change to the kernel's network configuration, as plain data, and the `ip` command that equals it. */
import type { SourcePosition } from '../errors.ts';
import type { Family } from '../packet/address.ts';
import { RTPROT_TSVPN } from './rtnetlink.ts';

export interface AddressChange {
  readonly kind: 'address';
  readonly device: string;
  readonly family: Family;
  readonly local: string;
  /** Point-to-point remote; undefined on a subnet. */
  readonly peer: string | undefined;
  readonly prefixLength: number;
}

export interface RouteChange {
  readonly kind: 'route';
  readonly family: Family;
  readonly network: string;
  readonly prefixLength: number;
  /** As in stock: IPv4 routes name the gateway only and the kernel finds the device... */
  readonly gateway: string | undefined;
  /** ...and IPv6 routes on a TUN name the device only. */
  readonly device: string | undefined;
  readonly metric: number | undefined;
  /** The `route` line of the config file. */
  readonly where: SourcePosition;
}

export type KernelChange =
  | { readonly kind: 'mtu'; readonly device: string; readonly mtu: number }
  | { readonly kind: 'txqueuelen'; readonly device: string; readonly packets: number }
  | AddressChange
  | { readonly kind: 'up'; readonly device: string }
  | RouteChange
  /** A `route` line that changes nothing, and why; only warned about. */
  | {
      readonly kind: 'route-skipped';
      readonly network: string;
      readonly prefixLength: number;
      readonly why: string;
      readonly where: SourcePosition;
    };

/** The command with the same effect, for `up --dry-run`, `up -v` and error messages. */
export function renderIp(change: KernelChange): string {
  switch (change.kind) {
    case 'mtu':
      return `ip link set dev ${change.device} mtu ${change.mtu}`;
    case 'txqueuelen':
      return `ip link set dev ${change.device} txqueuelen ${change.packets}`;
    case 'address':
      return `ip address add ${addressWords(change)}`;
    case 'up':
      return `ip link set dev ${change.device} up`;
    case 'route':
      return `ip${change.family === 6 ? ' -6' : ''} route add ${routeWords(change)}`;
    case 'route-skipped':
      return `# route ${change.network}/${change.prefixLength} skipped: ${change.why}`;
  }
}

/** The command that takes `change` back, given the value the kernel had `before`; see journal.ts. */
export function renderUndo(change: KernelChange, before: number | undefined): string {
  switch (change.kind) {
    case 'mtu':
      return `ip link set dev ${change.device} mtu ${before}`;
    case 'txqueuelen':
      return `ip link set dev ${change.device} txqueuelen ${before}`;
    case 'address':
      return `ip address del ${addressWords(change)}`;
    case 'up':
      return `ip link set dev ${change.device} down`;
    case 'route':
      return `ip${change.family === 6 ? ' -6' : ''} route del ${routeWords(change)}`;
    case 'route-skipped':
      return renderIp(change);
  }
}

function addressWords({ local, peer, prefixLength, device }: AddressChange): string {
  const address = peer === undefined ? `${local}/${prefixLength}` : `${local} peer ${peer}/${prefixLength}`;
  return `${address} dev ${device}`;
}

function routeWords({ network, prefixLength, gateway, device, metric }: RouteChange): string {
  const words = [`${network}/${prefixLength}`];
  if (gateway !== undefined) words.push('via', gateway);
  if (device !== undefined) words.push('dev', device);
  if (metric !== undefined && metric > 0) words.push('metric', String(metric));
  return [...words, 'proto', String(RTPROT_TSVPN)].join(' ');
}
