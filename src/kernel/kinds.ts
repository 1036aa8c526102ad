/** For each kind of change: how to see whether the kernel has it, how to make it, how to take it back. */
import type { Netlink } from '../ffi/netlink.ts';
import type { KernelChange } from './change.ts';
import { readSetting, writeSetting } from './device-settings.ts';
import type { JournalEntry } from './journal.ts';
import { addProxyNeighbour, deleteProxyNeighbour, proxyNeighbourExists } from './neighbours.ts';
import {
  findForeignRoute,
  removeForeignRoute,
  restoreForeignRoute,
  type OwnRoutes,
  type Route,
} from './routes.ts';
import { addAddress, addressExists, deleteAddress, setLink, type Address, type Link } from './rtnetlink.ts';
import {
  addRule,
  deleteRule,
  localRuleIsLast,
  localRuleProtocol,
  moveLocalRuleLast,
  repairLocalRule,
  ruleExists,
} from './rules.ts';

/** A conversation with the kernel of the calling thread's network namespace. */
export interface Kernel {
  readonly netlink: Netlink;
  readonly routes: OwnRoutes;
}

type Of<Kind extends KernelChange['kind']> = Extract<KernelChange, { kind: Kind }>;

interface Handler<Change extends KernelChange> {
  /** Does the kernel have it already? */
  holds(kernel: Kernel, change: Change, link: Link): boolean;
  /** The value an undo restores; undefined when there is none. */
  before?(kernel: Kernel, change: Change, link: Link): number | undefined;
  /** What else an undo needs; undefined when nothing. */
  saved?(kernel: Kernel, change: Change, link: Link): Uint8Array | undefined;
  make(kernel: Kernel, change: Change, link: Link): void;
  /** False when there is nothing (any more) to take back. */
  undo(kernel: Kernel, change: Change, link: Link, entry: JournalEntry): boolean;
}

/** Stands for the device of a change that has none. */
const NO_LINK: Link = {
  index: 0,
  name: '',
  up: false,
  mtu: 0,
  txQueueLength: 0,
  hardwareAddress: new Uint8Array(0),
  persistent: false,
};

const HANDLERS: { readonly [Kind in KernelChange['kind']]: Handler<Of<Kind>> } = {
  mtu: {
    // Set in any case: the kernel's default may change under us, and the log shows it.
    holds: () => false,
    before: (_kernel, _change, link) => link.mtu,
    make: ({ netlink }, { mtu }, { index }) => setLink(netlink, index, { mtu }),
    undo: ({ netlink }, _change, { index }, { before }) => {
      if (before !== undefined) setLink(netlink, index, { mtu: before });
      return before !== undefined;
    },
  },
  txqueuelen: {
    holds: () => false,
    before: (_kernel, _change, link) => link.txQueueLength,
    make: ({ netlink }, { packets }, { index }) => setLink(netlink, index, { txQueueLength: packets }),
    undo: ({ netlink }, _change, { index }, { before }) => {
      if (before !== undefined) setLink(netlink, index, { txQueueLength: before });
      return before !== undefined;
    },
  },
  address: {
    holds: ({ netlink }, change, { index }) => addressExists(netlink, index, toAddress(change)),
    make: ({ netlink }, change, { index }) => addAddress(netlink, index, toAddress(change)),
    undo: ({ netlink }, change, { index }) => {
      deleteAddress(netlink, index, toAddress(change));
      return true;
    },
  },
  up: {
    holds: (_kernel, _change, link) => link.up,
    make: ({ netlink }, _change, { index }) => setLink(netlink, index, { up: true }),
    undo: ({ netlink }, _change, { index }) => {
      setLink(netlink, index, { up: false });
      return true;
    },
  },
  route: {
    holds: ({ routes }, change, link) => routes.has(toRoute(change, link)),
    make: ({ routes }, change, link) => routes.add(toRoute(change, link)),
    undo: ({ routes }, change, link) => routes.delete(toRoute(change, link)),
  },
  'displaced-route': {
    holds: ({ netlink }, change, link) => findForeignRoute(netlink, displaced(change, link)) === undefined,
    saved: ({ netlink }, change, link) => findForeignRoute(netlink, displaced(change, link)),
    make: ({ netlink }, change, link) => {
      const message = findForeignRoute(netlink, displaced(change, link));
      if (message !== undefined) removeForeignRoute(netlink, message);
    },
    undo: ({ netlink }, _change, _link, { saved }) =>
      saved !== undefined && restoreForeignRoute(netlink, Buffer.from(saved, 'hex')),
  },
  rule: {
    holds: ({ netlink }, change) => ruleExists(netlink, change),
    make: ({ netlink }, change) => addRule(netlink, change),
    undo: ({ netlink }, change) => deleteRule(netlink, change),
  },
  'local-rule-last': {
    holds: ({ netlink }, change) => localRuleIsLast(netlink, change),
    before: ({ netlink }, { family }) => localRuleProtocol(netlink, family),
    make: ({ netlink }, change) => moveLocalRuleLast(netlink, change),
    undo: ({ netlink }, change, _link, { before }) => repairLocalRule(netlink, change, before),
  },
  sysctl: {
    holds: (_kernel, change) => readSetting(change) === change.value,
    before: (_kernel, change) => readSetting(change),
    make: ({ netlink }, change) => writeSetting(netlink, change, change.value),
    undo: ({ netlink }, change, _link, { before, allBefore }) => {
      // Somebody has set it to something else, or has set it for all devices, since we did.
      if (before === undefined || readSetting(change) !== change.value) return false;
      if (allBefore !== undefined && readSetting({ ...change, device: 'all' }) !== allBefore) return false;
      writeSetting(netlink, change, before);
      return true;
    },
  },
  'proxy-neighbour': {
    holds: ({ netlink }, { family, address }, { index }) =>
      proxyNeighbourExists(netlink, index, family, address),
    make: ({ netlink }, { family, address }, { index }) => addProxyNeighbour(netlink, index, family, address),
    undo: ({ netlink }, { family, address }, { index }) => {
      deleteProxyNeighbour(netlink, index, family, address);
      return true;
    },
  },
};

function handlerOf(change: KernelChange): Handler<KernelChange> {
  return HANDLERS[change.kind];
}

export function holds(kernel: Kernel, change: KernelChange, link: Link | undefined): boolean {
  return handlerOf(change).holds(kernel, change, link ?? NO_LINK);
}

/** What the journal has to say of `change` before it is made. */
export function journalEntry(kernel: Kernel, change: KernelChange, link: Link | undefined): JournalEntry {
  const before = handlerOf(change).before?.(kernel, change, link ?? NO_LINK);
  const saved = handlerOf(change).saved?.(kernel, change, link ?? NO_LINK);
  const allBefore = change.kind === 'sysctl' ? readSetting({ ...change, device: 'all' }) : undefined;
  return {
    change,
    interfaceIndex: link?.index,
    before,
    ...(saved === undefined ? {} : { saved: Buffer.from(saved).toString('hex') }),
    ...(allBefore === undefined ? {} : { allBefore }),
  };
}

export function make(kernel: Kernel, change: KernelChange, link: Link | undefined): void {
  handlerOf(change).make(kernel, change, link ?? NO_LINK);
}

/** `link` is the device the entry was made on; false when there is nothing (any more) to take back. */
export function takeBack(kernel: Kernel, entry: JournalEntry, link: Link | undefined): boolean {
  return handlerOf(entry.change).undo(kernel, entry.change, link ?? NO_LINK, entry);
}

function toAddress({ family, local, peer, prefixLength }: Of<'address'>): Address {
  return { family, local, peer, prefixLength };
}

function displaced(change: Of<'displaced-route'>, { index }: Link) {
  const { family, network, prefixLength, gateway, metric } = change;
  return { family, network, prefixLength, gateway, metric, interfaceIndex: index };
}

function toRoute(change: Of<'route'>, { index }: Link): Route {
  const { family, network, prefixLength, gateway, metric, table } = change;
  return {
    family,
    network,
    prefixLength,
    gateway,
    interfaceIndex: index === 0 ? undefined : index,
    metric,
    ...(table === undefined ? {} : { table }),
  };
}
