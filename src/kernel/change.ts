/** One change to the kernel's network configuration, as plain data, and the command that equals it. */
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
  /** As in stock: IPv4 `route` lines name the gateway only and the kernel finds the device... */
  readonly gateway: string | undefined;
  /** ...and IPv6 routes, and those of the routing table, name the device only. */
  readonly device: string | undefined;
  readonly metric: number | undefined;
  /** Number of the kernel's table; main when left out. */
  readonly table?: number;
  /** The config line it follows from. */
  readonly where?: SourcePosition;
}

export type KernelChange =
  | { readonly kind: 'mtu'; readonly device: string; readonly mtu: number }
  | { readonly kind: 'txqueuelen'; readonly device: string; readonly packets: number }
  | AddressChange
  | { readonly kind: 'up'; readonly device: string }
  | RouteChange;

/**
 * What a change is about: two changes with one key cannot both hold. A setting's value is not part of it, everything
 * of an address or a route is.
 */
export function changeKey(change: KernelChange): string {
  switch (change.kind) {
    case 'mtu':
    case 'txqueuelen':
      return `${change.kind} ${change.device}`;
    case 'address':
    case 'up':
    case 'route':
      return renderIp(change);
  }
}

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
  }
}

function addressWords({ local, peer, prefixLength, device }: AddressChange): string {
  const address = peer === undefined ? `${local}/${prefixLength}` : `${local} peer ${peer}/${prefixLength}`;
  return `${address} dev ${device}`;
}

function routeWords({ network, prefixLength, gateway, device, metric, table }: RouteChange): string {
  const words = [`${network}/${prefixLength}`];
  if (gateway !== undefined) words.push('via', gateway);
  if (device !== undefined) words.push('dev', device);
  if (table !== undefined) words.push('table', String(table));
  if (metric !== undefined && metric > 0) words.push('metric', String(metric));
  return [...words, 'proto', String(RTPROT_TSVPN)].join(' ');
}
