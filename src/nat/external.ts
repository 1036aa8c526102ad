/** Our external addresses, as the rules name them: a pool of ports each. */
import { prefixFamily } from '../packet/prefix.ts';
import { readInt32 } from '../packet/word.ts';
import { Pool, type ForwardedPorts, type PoolKind } from './pool.ts';
import { isIpv4 } from './rule-book.ts';
import type { DnatRule, NatRule, PortRange, SnatAddress } from './rule.ts';

/** Of addresses that nothing is translated to: for hairpin sessions, whose packets the kernel never sees. */
const HAIRPIN_PORTS: PortRange = { first: 1024, last: 65535 };
const ALL_PORTS: PortRange = { first: 0, last: 65535 };

interface Wanted {
  readonly address: Uint8Array;
  readonly kind: PoolKind;
  readonly ports: PortRange;
}

export class ExternalAddresses {
  /** By number; undefined where an address is no longer ours. */
  private readonly pools: (Pool | undefined)[] = [];
  private readonly byAddress = new Map<number, Pool>();

  /** The pool of the IPv4 address, a signed number. */
  find(address: number): Pool | undefined {
    return this.byAddress.get(address);
  }

  /** Undefined when the address is no longer ours. */
  byNumber(number: number): Pool | undefined {
    return this.pools[number];
  }

  all(): readonly Pool[] {
    return this.pools.filter((pool) => pool !== undefined);
  }

  /** Ports of one protocol, of all addresses. */
  get size(): number {
    return this.all().reduce((sum, pool) => sum + pool.size, 0);
  }

  /** Numbers of the pools that `update` will take away: their sessions have to end first. */
  retiring(rules: readonly NatRule[]): Set<number> {
    const wanted = new Map(wantedAddresses(rules).map((each) => [readInt32(each.address, 0), each]));
    const gone = this.all().filter(({ value, kind, ports }) => {
      const now = wanted.get(value);
      return now === undefined || now.kind !== kind || !isSameRange(now.ports, ports);
    });
    return new Set(gone.map(({ number }) => number));
  }

  /** Takes over the addresses of the rules. A pool that changes in nothing stays, with its ports. */
  update(rules: readonly NatRule[]): void {
    for (const number of this.retiring(rules)) {
      this.byAddress.delete(this.pools[number]!.value);
      this.pools[number] = undefined;
    }
    for (const wanted of wantedAddresses(rules)) this.add(wanted);
    for (const pool of this.all()) pool.forwarded = forwardedFrom(rules, pool);
  }

  private add({ address, kind, ports }: Wanted): void {
    const value = readInt32(address, 0);
    if (this.byAddress.has(value)) return;
    const hole = this.pools.indexOf(undefined);
    const number = hole < 0 ? this.pools.length : hole;
    const pool = new Pool(number, address, value, kind, ports);
    this.pools[number] = pool;
    this.byAddress.set(value, pool);
  }
}

/** One for each address; of an address that several rules name, what the first in order of precedence says. */
function wantedAddresses(all: readonly NatRule[]): Wanted[] {
  const rules = all.filter(isIpv4);
  const wanted = [
    ...rules.flatMap((rule) =>
      rule.kind === 'snat' && rule.to !== undefined
        ? [wantedSource(rule.to, rule.out === 'peers' ? 'tunnel' : 'alias')]
        : [],
    ),
    ...rules.flatMap((rule) =>
      rule.kind === 'dnat' && rule.snat !== undefined
        ? [wantedSource(rule.snat, rule.from === 'tun' ? 'tunnel' : 'alias')]
        : [],
    ),
    ...rules.flatMap((rule): Wanted[] => {
      const address = rule.kind === 'dnat' ? forwardedAddress(rule) : undefined;
      return address === undefined ? [] : [{ address, kind: 'own', ports: HAIRPIN_PORTS }];
    }),
  ];
  const first = new Map<number, Wanted>();
  for (const each of wanted) {
    const value = readInt32(each.address, 0);
    if (!first.has(value)) first.set(value, each);
  }
  return [...first.values()];
}

function wantedSource({ address, ports, shared }: SnatAddress, unshared: PoolKind): Wanted {
  return { address, ports, kind: shared ? 'range' : unshared };
}

/** The one address the rule forwards from, if it is one. */
function forwardedAddress({ match }: DnatRule): Uint8Array | undefined {
  const { destination } = match;
  return destination !== undefined && prefixFamily(destination) === 4 && destination.length === 32
    ? destination.bytes
    : undefined;
}

function forwardedFrom(rules: readonly NatRule[], pool: Pool): ForwardedPorts[] {
  return rules.flatMap((rule) => {
    if (rule.kind !== 'dnat' || forwardedAddress(rule)?.every((byte, i) => byte === pool.address[i]) !== true)
      return [];
    return [{ protocol: rule.match.protocol, ports: rule.match.destinationPorts ?? ALL_PORTS }];
  });
}

function isSameRange(a: PortRange, b: PortRange): boolean {
  return a.first === b.first && a.last === b.last;
}
