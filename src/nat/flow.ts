/** The packet at hand as the NAT decides about it: its tuple, where it comes from and goes to. Filled anew each time. */
import { IcmpType } from '../packet/icmp.ts';
import { PROTOCOL_TCP, TcpFlag } from '../packet/tcp.ts';
import { PROTOCOL_UDP } from '../packet/udp.ts';
import { readInt32 } from '../packet/word.ts';
import { ZONE_TUN, type Zone } from '../packet/zone.ts';
import type { PacketView } from './packet-view.ts';
import { destinationPortOf, packPorts, sourcePortOf, swapPorts } from './session-table.ts';

export class Flow {
  /** IPv4 addresses as signed numbers; packed ports as in session-table.ts. */
  source = 0;
  destination = 0;
  ports = 0;
  protocol = 0;
  from: Zone = ZONE_TUN;
  to: Zone = ZONE_TUN;
  /** False for a TCP reset and an answer to an ICMP query: without a session they belong to nothing. */
  opens = false;

  /** The tuple of an IPv4 packet. */
  read(bytes: Uint8Array, view: PacketView): void {
    this.source = readInt32(bytes, view.source);
    this.destination = readInt32(bytes, view.destination);
    this.ports = tuplePorts(view);
    this.protocol = view.protocol;
    this.opens = (view.tcpFlags & TcpFlag.Rst) === 0 && (view.kind !== 'icmp-query' || isQuestion(view));
  }

  copy(other: Flow): void {
    this.source = other.source;
    this.destination = other.destination;
    this.ports = other.ports;
    this.protocol = other.protocol;
    this.from = other.from;
    this.to = other.to;
  }

  /** Makes it the flow of the answers. */
  reverse(): void {
    const { source, from } = this;
    this.source = this.destination;
    this.destination = source;
    this.ports = swapPorts(this.ports);
    this.from = this.to;
    this.to = from;
  }

  /** TCP and UDP: a rule may ask for ports. */
  get hasPorts(): boolean {
    return this.protocol === PROTOCOL_TCP || this.protocol === PROTOCOL_UDP;
  }

  get sourcePort(): number {
    return sourcePortOf(this.ports);
  }

  get destinationPort(): number {
    return destinationPortOf(this.ports);
  }
}

/** Packed ports of a packet; of an ICMP query the identifier on the asking side and the question's type on the other. */
export function tuplePorts(view: PacketView): number {
  if (view.kind === 'tcp' || view.kind === 'udp') return packPorts(view.sourcePort, view.destinationPort);
  if (view.kind !== 'icmp-query') return 0;
  if (isQuestion(view)) return packPorts(view.sourcePort, view.icmpType);
  const question = view.icmpType === IcmpType.EchoReply ? IcmpType.Echo : IcmpType.Timestamp;
  return packPorts(question, view.sourcePort);
}

/** Of an ICMP query: is the identifier the sender's? */
export function isQuestion(view: PacketView): boolean {
  return view.icmpType === IcmpType.Echo || view.icmpType === IcmpType.Timestamp;
}
