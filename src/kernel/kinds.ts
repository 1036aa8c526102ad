/** For each kind of change but routes (route-changes.ts): how to see whether the kernel has it, how to make it, how to take it back. */
import type { Netlink } from '../ffi/netlink.ts';
import type { KernelChange, RouteChange } from './change.ts';
import { readSetting, writeSetting } from './device-settings.ts';
import { noBridge } from './errors.ts';
import type { JournalEntry } from './journal.ts';
import { addProxyNeighbour, deleteProxyNeighbour, proxyNeighbourExists } from './neighbours.ts';
import {
  findForeignRoute,
  removeForeignRoute,
  restoreForeignRoute,
  type ForeignRoute,
} from './foreign-route.ts';
import { parseAddress } from '../packet/address.ts';
import {
  addAddress,
  addressExists,
  deleteAddress,
  linkByName,
  setLink,
  type Address,
  type Link,
} from './rtnetlink.ts';
import {
  addRule,
  deleteRule,
  localRuleIsLast,
  localRuleProtocol,
  moveLocalRuleLast,
  repairLocalRule,
  ruleExists,
} from './rules.ts';

/** One at a time. */
export type SingleChange = Exclude<KernelChange, RouteChange>;

type Of<Kind extends SingleChange['kind']> = Extract<SingleChange, { kind: Kind }>;

interface Handler<Change extends SingleChange> {
  /** Does the kernel have it already? */
  holds(netlink: Netlink, change: Change, link: Link): boolean;
  /** The value an undo restores; undefined when there is none. */
  before?(netlink: Netlink, change: Change, link: Link): number | undefined;
  /** What else an undo needs; undefined when nothing. */
  saved?(netlink: Netlink, change: Change, link: Link): Uint8Array | undefined;
  make(netlink: Netlink, change: Change, link: Link): void;
  /** False when there is nothing (any more) to take back. */
  undo(netlink: Netlink, change: Change, link: Link, entry: JournalEntry): boolean;
}

/** Stands for the device of a change that has none. */
const NO_LINK: Link = {
  index: 0,
  name: '',
  up: false,
  mtu: 0,
  txQueueLength: 0,
  hardwareAddress: new Uint8Array(0),
  master: 0,
  persistent: false,
};

const HANDLERS: { readonly [Kind in SingleChange['kind']]: Handler<Of<Kind>> } = {
  mtu: {
    // Set in any case: the kernel's default may change under us, and the log shows it.
    holds: () => false,
    before: (_netlink, _change, link) => link.mtu,
    make: (netlink, { mtu }, { index }) => setLink(netlink, index, { mtu }),
    undo: (netlink, _change, { index }, { before }) => {
      if (before !== undefined) setLink(netlink, index, { mtu: before });
      return before !== undefined;
    },
  },
  txqueuelen: {
    holds: () => false,
    before: (_netlink, _change, link) => link.txQueueLength,
    make: (netlink, { packets }, { index }) => setLink(netlink, index, { txQueueLength: packets }),
    undo: (netlink, _change, { index }, { before }) => {
      if (before !== undefined) setLink(netlink, index, { txQueueLength: before });
      return before !== undefined;
    },
  },
  'link-address': {
    holds: (_netlink, { address }, link) => hex(link.hardwareAddress) === address.replaceAll(':', ''),
    saved: (_netlink, _change, link) => link.hardwareAddress,
    make: (netlink, { address }, { index }) =>
      setLink(netlink, index, { hardwareAddress: Buffer.from(address.replaceAll(':', ''), 'hex') }),
    undo: (netlink, _change, { index }, { saved }) => {
      if (saved !== undefined) setLink(netlink, index, { hardwareAddress: Buffer.from(saved, 'hex') });
      return saved !== undefined;
    },
  },
  master: {
    holds: (netlink, { master }, link) => linkByName(netlink, master)?.index === link.master,
    make: (netlink, change, { index }) => {
      const bridge = linkByName(netlink, change.master);
      if (bridge === undefined) throw noBridge(change);
      setLink(netlink, index, { master: bridge.index });
    },
    undo: (netlink, { master }, link) => {
      // Somebody has moved it to another bridge since.
      if (link.master === 0 || linkByName(netlink, master)?.index !== link.master) return false;
      setLink(netlink, link.index, { master: 0 });
      return true;
    },
  },
  address: {
    holds: (netlink, change, { index }) => addressExists(netlink, index, toAddress(change)),
    make: (netlink, change, { index }) => addAddress(netlink, index, toAddress(change)),
    undo: (netlink, change, { index }) => {
      deleteAddress(netlink, index, toAddress(change));
      return true;
    },
  },
  up: {
    holds: (_netlink, _change, link) => link.up,
    make: (netlink, _change, { index }) => setLink(netlink, index, { up: true }),
    undo: (netlink, _change, { index }) => {
      setLink(netlink, index, { up: false });
      return true;
    },
  },
  'displaced-route': {
    holds: (netlink, change, link) => findForeignRoute(netlink, displaced(change, link)) === undefined,
    saved: (netlink, change, link) => findForeignRoute(netlink, displaced(change, link)),
    make: (netlink, change, link) => {
      const message = findForeignRoute(netlink, displaced(change, link));
      if (message !== undefined) removeForeignRoute(netlink, message);
    },
    undo: (netlink, _change, _link, { saved }) =>
      saved !== undefined && restoreForeignRoute(netlink, Buffer.from(saved, 'hex')),
  },
  rule: {
    holds: (netlink, change) => ruleExists(netlink, change),
    make: (netlink, change) => addRule(netlink, change),
    undo: (netlink, change) => deleteRule(netlink, change),
  },
  'local-rule-last': {
    holds: (netlink, change) => localRuleIsLast(netlink, change),
    before: (netlink, { family }) => localRuleProtocol(netlink, family),
    make: (netlink, change) => moveLocalRuleLast(netlink, change),
    undo: (netlink, change, _link, { before }) => repairLocalRule(netlink, change, before),
  },
  sysctl: {
    holds: (_netlink, change) => readSetting(change) === change.value,
    before: (_netlink, change) => readSetting(change),
    make: (netlink, change) => writeSetting(netlink, change, change.value),
    undo: (netlink, change, _link, { before, allBefore }) => {
      // Somebody has set it to something else, or has set it for all devices, since we did.
      if (before === undefined || readSetting(change) !== change.value) return false;
      if (allBefore !== undefined && readSetting({ ...change, device: 'all' }) !== allBefore) return false;
      writeSetting(netlink, change, before);
      return true;
    },
  },
  'proxy-neighbour': {
    holds: (netlink, { family, address }, { index }) => proxyNeighbourExists(netlink, index, family, address),
    make: (netlink, { family, address }, { index }) => addProxyNeighbour(netlink, index, family, address),
    undo: (netlink, { family, address }, { index }) => {
      deleteProxyNeighbour(netlink, index, family, address);
      return true;
    },
  },
};

function handlerOf(change: SingleChange): Handler<SingleChange> {
  return HANDLERS[change.kind];
}

export function holds(netlink: Netlink, change: SingleChange, link: Link | undefined): boolean {
  return handlerOf(change).holds(netlink, change, link ?? NO_LINK);
}

/** What the journal has to say of `change` before it is made. */
export function journalEntry(netlink: Netlink, change: SingleChange, link: Link | undefined): JournalEntry {
  const before = handlerOf(change).before?.(netlink, change, link ?? NO_LINK);
  const saved = handlerOf(change).saved?.(netlink, change, link ?? NO_LINK);
  const allBefore = change.kind === 'sysctl' ? readSetting({ ...change, device: 'all' }) : undefined;
  return {
    change,
    interfaceIndex: link?.index,
    before,
    ...(saved === undefined ? {} : { saved: hex(saved) }),
    ...(allBefore === undefined ? {} : { allBefore }),
  };
}

export function make(netlink: Netlink, change: SingleChange, link: Link | undefined): void {
  handlerOf(change).make(netlink, change, link ?? NO_LINK);
}

/** `link` is the device the entry was made on; false when there is nothing (any more) to take back. */
export function takeBack(
  netlink: Netlink,
  change: SingleChange,
  link: Link | undefined,
  entry: JournalEntry,
): boolean {
  return handlerOf(change).undo(netlink, change, link ?? NO_LINK, entry);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function toAddress({ family, local, peer, prefixLength }: Of<'address'>): Address {
  return { family, local, peer, prefixLength };
}

function displaced(change: Of<'displaced-route'>, { index }: Link): ForeignRoute {
  const { network, prefixLength, gateway, metric } = change;
  const prefix = { bytes: parseAddress(network), length: prefixLength };
  return {
    prefix,
    gateway: gateway === undefined ? undefined : parseAddress(gateway),
    metric,
    interfaceIndex: index,
  };
}
