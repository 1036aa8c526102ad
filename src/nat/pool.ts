/** External addresses and their ports: which are in use, and which were lately and must rest. */
import { formatAddress } from '../packet/address.ts';
import { PROTOCOL_TCP } from '../packet/tcp.ts';
import { PROTOCOL_UDP } from '../packet/udp.ts';
import type { PortRange } from './rule.ts';

/**
 * - range: the gateway's own LAN address; a range of ports is captured for us, the rest is the kernel's
 * - alias: an address that is ours alone
 * - tunnel: the gateway's own tunnel address; outside is where the peers are
 * - own: another of the gateway's addresses, with ports forwarded from it and no translation to it (but for hairpin)
 */
export type PoolKind = 'range' | 'alias' | 'tunnel' | 'own';

/** The ports of one protocol, by port - first. */
export class PortTable {
  /** 0: free. Of exclusive ports mapping + 1, of shared ones the number of sessions. */
  readonly use: Int32Array;
  /** Second until which a freed port rests (RFC 6888 REQ-8), the inside host that had it, and whom that talked to. */
  readonly restsUntil: Int32Array;
  readonly restsInside: Int32Array;
  readonly restsRemote: Int32Array;
  /** Ports in use. */
  used = 0;
  /** Second in which a search found nothing: unless a port is freed there is no other in it, whoever asks. */
  exhaustedAt = -1;

  constructor(size: number) {
    this.use = new Int32Array(size);
    this.restsUntil = new Int32Array(size);
    this.restsInside = new Int32Array(size);
    this.restsRemote = new Int32Array(size);
  }
}

/** A port that is forwarded: never given out. */
export interface ForwardedPorts {
  /** Undefined is every protocol. */
  readonly protocol: number | undefined;
  readonly ports: PortRange;
}

export class Pool {
  /** As sessions and mappings know it; stays the same for as long as the address is in use. */
  readonly number: number;
  readonly address: Uint8Array;
  /** The address as a signed number. */
  readonly value: number;
  readonly kind: PoolKind;
  readonly ports: PortRange;
  forwarded: readonly ForwardedPorts[] = [];
  private readonly tables = new Map<number, PortTable>();

  constructor(number: number, address: Uint8Array, value: number, kind: PoolKind, ports: PortRange) {
    this.number = number;
    this.address = address;
    this.value = value;
    this.kind = kind;
    this.ports = ports;
  }

  /** Every address but an alias is the kernel's too: what we do not know is for the kernel. */
  get isOwn(): boolean {
    return this.kind !== 'alias';
  }

  get size(): number {
    return this.ports.last - this.ports.first + 1;
  }

  has(port: number): boolean {
    return port >= this.ports.first && port <= this.ports.last;
  }

  /** Made when the protocol's first port is wanted. */
  table(protocol: number): PortTable {
    let table = this.tables.get(protocol);
    if (table === undefined) {
      table = new PortTable(this.size);
      this.tables.set(protocol, table);
    }
    return table;
  }

  /** As PortTable's `use`. */
  use(protocol: number, port: number): number {
    return this.tables.get(protocol)?.use[port - this.ports.first] ?? 0;
  }

  usedPorts(protocol: number): number {
    return this.tables.get(protocol)?.used ?? 0;
  }

  isForwarded(protocol: number, port: number): boolean {
    for (const { protocol: forwarded, ports } of this.forwarded) {
      if ((forwarded ?? protocol) === protocol && port >= ports.first && port <= ports.last) return true;
    }
    return false;
  }

  get text(): string {
    return formatAddress(this.address);
  }
}

/** Protocols with ports that the kernel's own sockets use too. */
export function hasSockets(protocol: number): boolean {
  return protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP;
}
