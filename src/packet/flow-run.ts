/**
 * Runs: packets of one flow, one behind the other, as a bulk transfer sends them. What was decided about the first holds
 * for those behind it as long as nothing in their headers could change the decision.
 */
import type { Batch } from './batch.ts';
import { IPV4_DESTINATION, IPV4_MIN_HEADER, IPV4_SOURCE, ipv4IsFragment, ipv4Protocol } from './ipv4.ts';
import { PROTOCOL_TCP, TCP_MIN_HEADER, TcpFlag, tcpFlags, tcpHeaderLength } from './tcp.ts';
import { PROTOCOL_UDP, UDP_HEADER } from './udp.ts';
import { readInt32 } from './word.ts';

/** First byte of an IPv4 header without options. */
const PLAIN = 0x45;
/** RFC 9293 3.1: such a segment opens nothing and ends nothing. */
const DATA_FLAGS = TcpFlag.Ack | TcpFlag.Psh;
const TTL = 8;

/** The addresses, ports, protocol and TTL of the last packet. */
export class FlowRun {
  private source = 0;
  private destination = 0;
  private ports = 0;
  private protocol = 0;
  private ttl = 0;

  /** Remembers the packet in `slot`; false when it cannot begin a run: `continues` is then not to be asked. */
  begin(batch: Batch, slot: number): boolean {
    const { bytes } = batch;
    const start = batch.start[slot];
    if (!isData(bytes, start, batch.length[slot])) return false;
    this.source = readInt32(bytes, start + IPV4_SOURCE);
    this.destination = readInt32(bytes, start + IPV4_DESTINATION);
    this.ports = readInt32(bytes, start + IPV4_MIN_HEADER);
    this.protocol = ipv4Protocol(bytes, start);
    this.ttl = bytes[start + TTL];
    return true;
  }

  /** Is the packet in `slot`, which has passed `checkInner`, another of the run? Only lengths, ids and payload differ. */
  continues(batch: Batch, slot: number): boolean {
    const { bytes } = batch;
    const start = batch.start[slot];
    return (
      isData(bytes, start, batch.length[slot]) &&
      readInt32(bytes, start + IPV4_MIN_HEADER) === this.ports &&
      readInt32(bytes, start + IPV4_SOURCE) === this.source &&
      readInt32(bytes, start + IPV4_DESTINATION) === this.destination &&
      ipv4Protocol(bytes, start) === this.protocol &&
      bytes[start + TTL] === this.ttl
    );
  }
}

/** A whole IPv4 packet without options, with UDP or with TCP data or acknowledgement in it. */
function isData(bytes: Uint8Array, start: number, length: number): boolean {
  if (bytes[start] !== PLAIN || ipv4IsFragment(bytes, start)) return false;
  const transport = start + IPV4_MIN_HEADER;
  const there = length - IPV4_MIN_HEADER;
  const protocol = ipv4Protocol(bytes, start);
  if (protocol === PROTOCOL_UDP) return there >= UDP_HEADER;
  if (protocol !== PROTOCOL_TCP || there < TCP_MIN_HEADER) return false;
  const header = tcpHeaderLength(bytes, transport);
  return (
    (tcpFlags(bytes, transport) | TcpFlag.Psh) === DATA_FLAGS && header >= TCP_MIN_HEADER && header <= there
  );
}
