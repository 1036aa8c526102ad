/** Hears of changes to links, addresses, routes and rules, whoever makes them. */
import { OsError } from '../ffi/libc.ts';
import { NetlinkListener, NLM_F_REPLACE } from '../ffi/netlink.ts';
import type { Prefix } from '../packet/prefix.ts';
import { isOwnRoute } from './host-routes.ts';
import { parseRoute, RT_TABLE_MAIN, RTM_DELROUTE, RTM_NEWROUTE } from './routes.ts';
import { RTM_DELRULE, RTM_NEWRULE } from './rules.ts';
import { snapshot, type HostSnapshot } from './snapshot.ts';

/** RTNLGRP_* of linux/rtnetlink.h. */
const GROUPS = {
  link: 1,
  ipv4Address: 5,
  ipv4Route: 7,
  ipv4Rule: 8,
  ipv6Address: 9,
  ipv6Route: 11,
  ipv6Rule: 19,
  /** Routes go with the next hop object that they use, and nothing is said of them. */
  nextHop: 32,
};

/** Looking costs one system call. */
const POLL_MS = 100;
/** A handler that took t ms is not called again for SPARE * t: a routing daemon at work must not fill the main thread. */
const SPARE = 4;

export interface HostChange {
  readonly host: HostSnapshot;
  /** Prefixes to which the routes may have changed, some of them twice; undefined when anything may have changed. */
  readonly prefixes: readonly Prefix[] | undefined;
}

export interface MonitorOptions {
  /** The gateway's own. */
  readonly device: string;
  readonly onChange: (change: HostChange) => void;
  /** The host could not be looked at; it is tried again when something has changed. */
  readonly onFailure: (error: OsError) => void;
}

/**
 * Looks at the host, and tells of it at once and then on the next tick of the poll that finds the kernel quiet, and at the
 * latest after ten of them: a change seldom comes alone.
 *
 * What the kernel says of routes is taken over one by one: there may be a hundred thousand. After anything else (routes go
 * with links and addresses without a word), and after messages that were lost or leave a doubt, all is read again.
 */
export class Monitor {
  private readonly options: MonitorOptions;
  private readonly listener = new NetlinkListener(Object.values(GROUPS));
  private readonly timer: NodeJS.Timeout;
  private host: HostSnapshot | undefined;
  private prefixes: Prefix[] = [];
  private waited = 0;
  private notBefore = 0;

  constructor(options: MonitorOptions) {
    this.options = options;
    this.tell();
    this.timer = setInterval(() => this.poll(), POLL_MS);
    this.timer.unref();
  }

  close(): void {
    clearInterval(this.timer);
    this.listener.close();
  }

  private poll(): void {
    const { heard, lost } = this.listener.read((...message) => this.hear(...message));
    if (lost) this.host = undefined;
    if (!heard && this.waited === 0) return;
    this.waited++;
    const now = performance.now();
    if ((heard && this.waited < 10) || now < this.notBefore) return;
    this.waited = 0;
    this.tell();
    const end = performance.now();
    this.notBefore = end + SPARE * (end - now);
  }

  private hear(type: number, flags: number, bytes: Uint8Array, offset: number, end: number): void {
    const { host } = this;
    if (host === undefined || type === RTM_NEWRULE || type === RTM_DELRULE) return;
    if (type !== RTM_NEWROUTE && type !== RTM_DELROUTE) {
      this.host = undefined;
      return;
    }
    if (isOwnRoute(bytes, offset, end, host.own)) return;
    const replaces = (flags & NLM_F_REPLACE) !== 0;
    const route = parseRoute(bytes, offset, end);
    if (route === undefined) {
      // Of another kind than unicast: it may have taken the place of one.
      if (replaces) this.host = undefined;
      return;
    }
    if (route.table !== RT_TABLE_MAIN) return;
    const kind = type === RTM_NEWROUTE ? 'added' : 'deleted';
    if (host.routes.apply({ kind, replaces, route })) this.prefixes.push(route.prefix);
    else this.host = undefined;
  }

  private tell(): void {
    const prefixes = this.host === undefined ? undefined : this.prefixes;
    this.prefixes = [];
    try {
      this.host ??= snapshot(this.options.device);
    } catch (error) {
      if (!(error instanceof OsError)) throw error;
      return this.options.onFailure(error);
    }
    this.options.onChange({ host: this.host, prefixes });
  }
}
