/**
 * Takes journalled changes back, newest first. Idempotent, and careful: a device must still have the name and the
 * index it had, an address must be on that device, a route must carry tsvpn's protocol number. Whatever is not
 * there any more (the device vanished with its process, an operator deleted the route) is fine.
 */
import { Netlink, NetlinkError } from '../ffi/netlink.ts';
import type { AddressChange, RouteChange } from './change.ts';
import { renderUndo } from './change.ts';
import type { JournalEntry } from './journal.ts';
import {
  deleteAddress,
  deleteRoute,
  linkByIndex,
  ownRouteExists,
  setLink,
  type Address,
  type Route,
} from './rtnetlink.ts';

export interface UndoReport {
  /** `ip` commands equal to what was undone, in order. */
  readonly undone: readonly string[];
  /** The same for changes that were not there (any more). */
  readonly gone: readonly string[];
  readonly failed: readonly { readonly command: string; readonly reason: string }[];
}

/** Undoes `entries` in the current network namespace. Never throws for a single entry: see `failed`. */
export function undoEntries(entries: readonly JournalEntry[]): UndoReport {
  const undone: string[] = [];
  const gone: string[] = [];
  const failed: { command: string; reason: string }[] = [];
  const netlink = new Netlink();
  try {
    for (const entry of entries.toReversed()) {
      const command = renderUndo(entry.change, entry.before);
      try {
        (undoEntry(netlink, entry) ? undone : gone).push(command);
      } catch (error) {
        if (!(error instanceof NetlinkError)) throw error;
        if (meansGone(error)) gone.push(command);
        else failed.push({ command, reason: error.message });
      }
    }
  } finally {
    netlink.close();
  }
  return { undone, gone, failed };
}

/** EADDRNOTAVAIL is the kernel's word for an address, ESRCH for a route, ENODEV for a device that is not there. */
function meansGone(error: NetlinkError): boolean {
  return ['ENODEV', 'ESRCH', 'ENOENT', 'EADDRNOTAVAIL'].includes(error.code);
}

/** False when there was nothing to undo. */
function undoEntry(netlink: Netlink, { change, interfaceIndex, before }: JournalEntry): boolean {
  if ('device' in change && change.device !== undefined) {
    const link = interfaceIndex === undefined ? undefined : linkByIndex(netlink, interfaceIndex);
    if (link === undefined || link.name !== change.device) return false;
    return undoOnDevice(netlink, { change, interfaceIndex: link.index, before });
  }
  return change.kind === 'route' && undoRoute(netlink, toRoute(change, undefined));
}

function undoOnDevice(
  netlink: Netlink,
  { change, interfaceIndex, before }: JournalEntry & { readonly interfaceIndex: number },
): boolean {
  switch (change.kind) {
    case 'mtu':
      if (before !== undefined) setLink(netlink, interfaceIndex, { mtu: before });
      return before !== undefined;
    case 'txqueuelen':
      if (before !== undefined) setLink(netlink, interfaceIndex, { txQueueLength: before });
      return before !== undefined;
    case 'up':
      setLink(netlink, interfaceIndex, { up: false });
      return true;
    case 'address':
      deleteAddress(netlink, interfaceIndex, toAddress(change));
      return true;
    case 'route':
      return undoRoute(netlink, toRoute(change, interfaceIndex));
  }
}

/** A deletion names few enough attributes to match a similar route; only an exact match is ours. */
function undoRoute(netlink: Netlink, route: Route): boolean {
  if (!ownRouteExists(netlink, route)) return false;
  deleteRoute(netlink, route);
  return true;
}

export function toAddress({ family, local, peer, prefixLength }: AddressChange): Address {
  return { family, local, peer, prefixLength };
}

export function toRoute(change: RouteChange, interfaceIndex: number | undefined): Route {
  const { family, network, prefixLength, gateway, metric } = change;
  return { family, network, prefixLength, gateway, interfaceIndex, metric };
}
