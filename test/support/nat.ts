/** A NAT on a fake clock, rules in short form, and packets by their ends: `10.8.0.2:5000`. */
import { formatAddress, parseAddress } from '../../src/packet/address.ts';
import { HeapArena } from '../../src/packet/arena.ts';
import { Batch } from '../../src/packet/batch.ts';
import { parsePrefix, type Prefix } from '../../src/packet/prefix.ts';
import { DropReason, PASS, type Verdict } from '../../src/packet/verdict.ts';
import { ZONE_TUN, type Zone } from '../../src/packet/zone.ts';
import { Nat } from '../../src/nat/nat.ts';
import type {
  DnatRule,
  NatRule,
  NatSettings,
  NoNatRule,
  RuleMatch,
  SnatAddress,
  SnatRule,
} from '../../src/nat/rule.ts';
import { onesComplementSum } from '../../src/packet/checksum.ts';
import { icmp, ipPacket, tcp, udp } from './ip-packets.ts';
import { seeded } from './random.ts';

export const PEER_A: Zone = 0;
export const PEER_B: Zone = 1;
export const SYN = 0x02;
export const SYN_ACK = 0x12;
export const ACK = 0x10;
export const FIN = 0x11;
export const RST = 0x04;

/** Timers as without a line in the config; limits that tests reach. */
export const DEFAULTS: NatSettings = {
  rules: [],
  timeouts: {
    udp: 300,
    udpOneWay: 120,
    udpDns: 30,
    tcpEstablished: 7440,
    tcpPartial: 240,
    tcpClosing: 240,
    icmp: 60,
    other: 300,
    fragment: 30,
    portQuarantine: 120,
  },
  maxSessions: 1024,
  perHost: 512,
  perHostHalfOpen: 256,
  perHostRate: 10_000,
  perHostBurst: 10_000,
  tcpMapping: 'edm',
  udpFiltering: 'adf',
  unmatched: 'reinject',
};

const ALL_PORTS = { first: 1024, last: 65535 };
export const RANGE_PORTS = { first: 61000, last: 65534 };

export interface MatchShape {
  readonly from?: string;
  readonly to?: string;
  readonly protocol?: number;
  readonly ports?: readonly [number, number];
}

function prefix(text: string | undefined): Prefix | undefined {
  return text === undefined ? undefined : parsePrefix(text)!;
}

function match({ from, to, protocol, ports }: MatchShape): RuleMatch {
  return {
    source: prefix(from),
    destination: prefix(to),
    protocol,
    sourcePorts: undefined,
    destinationPorts: ports === undefined ? undefined : { first: ports[0], last: ports[1] },
  };
}

export function address(text: string, shape: Partial<SnatAddress> = {}): SnatAddress {
  return { address: parseAddress(text), ports: ALL_PORTS, shared: false, ...shape };
}

/** The gateway's own LAN address, with a range of ports that are ours. */
export function range(text: string): SnatAddress {
  return address(text, { ports: RANGE_PORTS, shared: true });
}

export type NatSettingsShape = Partial<NatSettings>;

type Draft<Rule extends NatRule> = Omit<Rule, 'id'>;

const line = (text: string) => ({ text, where: { file: 'test.conf', line: 1, column: 1 } });

export function snat(
  shape: MatchShape,
  to: SnatAddress | undefined,
  more: Partial<SnatRule> = {},
): Draft<SnatRule> {
  return {
    kind: 'snat',
    ...line(`snat ${shape.from}`),
    match: match(shape),
    out: 'tun',
    egress: undefined,
    peer: undefined,
    to,
    ...more,
  };
}

export function dnat(
  shape: MatchShape,
  to: string,
  toPort: number | undefined,
  more: Partial<DnatRule> = {},
): Draft<DnatRule> {
  return {
    kind: 'dnat',
    ...line(`dnat ${shape.to}`),
    match: match(shape),
    from: 'tun',
    peer: undefined,
    to: parseAddress(to),
    toPort,
    snat: undefined,
    ...more,
  };
}

export function none(shape: MatchShape): Draft<NoNatRule> {
  return { kind: 'none', ...line('none'), match: match(shape) };
}

export interface Sent {
  /** Of `classify` if that is a refusal, else of `translate`. */
  readonly verdict: Verdict;
  /** Name of the verdict. */
  readonly reason: string;
  readonly packet: Buffer;
  /** Address to route by. */
  readonly routedTo: string;
  readonly reinject: boolean;
  readonly answered: boolean;
  readonly viaIcmpSocket: boolean;
  /** `source:port > destination:port` of the packet as it leaves; the reason if it does not. */
  readonly text: string;
}

export interface LabOptions {
  readonly settings?: Partial<NatSettings>;
  readonly seed?: number;
  /** Interface the kernel sends to an address out of; any, unless told. */
  readonly egressOf?: (address: string) => string;
}

export class NatLab {
  readonly nat: Nat;
  readonly now = { ms: 1_790_000_000_000 };
  /** Ports of guard sockets that are open. */
  readonly guarded = new Set<number>();
  /** `protocol/port` of local sockets. */
  readonly localPorts = new Set<string>();
  egressQuestions = 0;
  readonly batch: Batch;
  readonly settings: NatSettings;

  constructor(rules: readonly Omit<NatRule, 'id'>[], options: LabOptions = {}) {
    const shape = { slots: 1, capacity: 4096 };
    const arena = new HeapArena(Batch.arenaSize(shape) + Nat.ARENA_SIZE + 64);
    const random = seeded(options.seed ?? 1);
    this.batch = new Batch(arena, shape);
    this.settings = { ...DEFAULTS, ...options.settings };
    this.nat = new Nat({
      arena,
      settings: this.settingsWith(rules),
      secret: Uint8Array.from({ length: 8 }, () => random() * 256),
      random: () => Math.floor(random() * 0x100000000),
      egressMatches: ({ egress }, bytes, offset) => {
        this.egressQuestions++;
        const out = options.egressOf?.(formatAddress(bytes.slice(offset, offset + 4)));
        return out === undefined || out === egress;
      },
      guards: {
        open: (_, port) => !this.localPorts.has(`17/${port}`) && this.guarded.add(port) !== undefined,
        close: (_, port) => void this.guarded.delete(port),
      },
      isLocalPortBusy: (protocol, port) => this.localPorts.has(`${protocol}/${port}`),
      now: this.now,
    });
  }

  reconfigure(rules: readonly Omit<NatRule, 'id'>[], settings: Partial<NatSettings> = {}): void {
    this.nat.reconfigure({ ...this.settingsWith(rules), ...settings });
  }

  /** Lets time pass, second by second. */
  advance(seconds: number): this {
    for (let i = 0; i < seconds; i++) {
      this.now.ms += 1000;
      this.nat.tick(this.now);
    }
    return this;
  }

  send(packet: Uint8Array, from: Zone, to: Zone): Sent {
    const { batch, nat, now } = this;
    batch.bytes.set(packet, batch.packetOffset(0));
    batch.commit(0, packet.length);
    return this.forward(from, to, nat.classify(batch, 0, from, now));
  }

  /** The next fragment that waited, sent on its way; undefined when there is none. */
  release(to: Zone): Sent | undefined {
    const from = this.nat.release(this.batch, 0);
    if (from < -2) return undefined;
    return this.forward(from, to, this.nat.classify(this.batch, 0, from, this.now));
  }

  private forward(from: Zone, to: Zone, classified: Verdict): Sent {
    const { batch, nat, now } = this;
    const routedTo = formatAddress(batch.bytes.slice(nat.destination, nat.destination + 4));
    const { reinject, answered } = nat;
    const verdict =
      classified !== PASS || reinject || answered ? classified : nat.translate(batch, 0, from, to, now);
    const out = Buffer.from(batch.bytes.slice(batch.start[0], batch.start[0] + batch.length[0]));
    const reason = reasonName(verdict);
    const text = verdict === PASS ? describe(out) : reason;
    return {
      verdict,
      reason,
      packet: out,
      routedTo,
      reinject,
      answered,
      viaIcmpSocket: nat.viaIcmpSocket,
      text,
    };
  }

  private settingsWith(rules: readonly Omit<NatRule, 'id'>[]): NatSettings {
    return { ...this.settings, rules: rules.map((rule, id) => ({ ...rule, id }) as NatRule) };
  }
}

function reasonName(verdict: Verdict): string {
  if (verdict === PASS) return 'pass';
  return Object.entries(DropReason).find(([, value]) => value === verdict)?.[0] ?? 'consumed';
}

interface End {
  readonly address: string;
  readonly port: number;
}

function end(text: string): End {
  const [address, port] = text.split(':');
  return { address, port: Number(port ?? 0) };
}

export function tcpFrom(source: string, destination: string, flags: number, data = 0): Buffer {
  const [a, b] = [end(source), end(destination)];
  const shape = { sourcePort: a.port, destinationPort: b.port, flags, data: Buffer.alloc(data, 0x61) };
  return ipPacket({ source: a.address, destination: b.address }, tcp(shape));
}

export function udpFrom(source: string, destination: string, data = 4): Buffer {
  const [a, b] = [end(source), end(destination)];
  const shape = { sourcePort: a.port, destinationPort: b.port, data: Buffer.alloc(data, 0x62) };
  return ipPacket({ source: a.address, destination: b.address }, udp(shape));
}

/** Echo request (type 8) or reply (0) with an identifier. */
export function echo(source: string, destination: string, type: number, id: number): Buffer {
  const rest = [id, 1] as const;
  return ipPacket({ source, destination }, icmp({ version: 4, type, rest, data: Buffer.from('ping') }));
}

export interface ErrorShape {
  readonly type?: number;
  readonly code?: number;
  readonly mtu?: number;
  /** Bytes of the offending packet that are quoted. */
  readonly quote?: number;
}

/** An ICMP error about a packet. */
export function errorAbout(
  source: string,
  destination: string,
  packet: Uint8Array,
  shape: ErrorShape = {},
): Buffer {
  const { type = 3, code = 3, mtu = 0, quote = packet.length } = shape;
  return ipPacket(
    { source, destination },
    icmp({ version: 4, type, code, rest: [0, mtu], data: packet.subarray(0, quote) }),
  );
}

/** `source:port > destination:port`, for ICMP `source > destination type/code id`, with what an error quotes behind it. */
export function describe(packet: Buffer): string {
  const source = formatAddress(packet.subarray(12, 16));
  const destination = formatAddress(packet.subarray(16, 20));
  const at = (packet[0] & 15) * 4;
  const protocol = packet[9];
  if ((packet.readUInt16BE(6) & 0x1fff) !== 0) return `${source} > ${destination} fragment`;
  if (protocol === 6 || protocol === 17) {
    return `${source}:${packet.readUInt16BE(at)} > ${destination}:${packet.readUInt16BE(at + 2)}`;
  }
  if (protocol !== 1) return `${source} > ${destination} protocol ${protocol}`;
  const [type, code] = packet.subarray(at);
  if ([0, 8, 13, 14].includes(type)) {
    return `${source} > ${destination} icmp ${type} id ${packet.readUInt16BE(at + 4)}`;
  }
  return `${source} > ${destination} icmp ${type}/${code} (${describe(packet.subarray(at + 8))})`;
}

/** Are IP header, TCP, UDP, ICMP and quoted IP header checksums right? */
export function checksumsAreRight(packet: Buffer): boolean {
  const at = (packet[0] & 15) * 4;
  if (onesComplementSum(packet, 0, at) !== 0xffff) return false;
  const protocol = packet[9];
  const payload = packet.subarray(at);
  if (protocol === 1) {
    const isError = [3, 11, 12].includes(payload[0]);
    const quoted = payload.subarray(8);
    const quotedIsRight = !isError || onesComplementSum(quoted, 0, (quoted[0] & 15) * 4) === 0xffff;
    return quotedIsRight && onesComplementSum(payload, 0, payload.length) === 0xffff;
  }
  if (protocol === 17 && payload.readUInt16BE(6) === 0) return true;
  if (protocol !== 6 && protocol !== 17) return true;
  const pseudoHeader = onesComplementSum(packet, 12, 8, protocol + payload.length);
  return onesComplementSum(payload, 0, payload.length, pseudoHeader) === 0xffff;
}

export { ZONE_TUN };
