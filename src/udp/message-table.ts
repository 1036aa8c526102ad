/**
 * An array of mmsghdr in the arena for recvmmsg and sendmmsg, with a pool of iovecs and room for control messages.
 * Upper halves of pointers and lengths stay zero: the arena lies below 2 GiB.
 *
 * Control messages carry what belongs to a message and is not in it (cmsg(3)):
 *
 *   UDP_SEGMENT, UDP_GRO         size of the datagrams that the message is cut into, or was put together from
 *   IP_PKTINFO, IPV6_PKTINFO     our own address and interface (`multihome`), in the message's endpoint row
 *   IP_RECVFRAGSIZE and IPV6_..  it came in fragments
 *   IP_RECVERR, IPV6_RECVERR     from the error queue: what is wrong with a datagram we sent
 *   IP_TOS, IPV6_TCLASS          the byte of that name in the outer header (`passtos`)
 */
import {
  EMSGSIZE,
  IP_PKTINFO,
  IP_RECVERR,
  IP_RECVFRAGSIZE,
  IP_TOS,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_PKTINFO,
  IPV6_RECVERR,
  IPV6_RECVFRAGSIZE,
  IPV6_TCLASS,
  SOL_UDP,
  UDP_GRO,
  UDP_SEGMENT,
} from '../ffi/constants.ts';
import { CMSG, IN6_PKTINFO, IN_PKTINFO, IOVEC, MMSGHDR, SOCK_EXTENDED_ERR } from '../ffi/layout.ts';
import type { Arena } from '../packet/arena.ts';
import {
  AF_INET,
  clearLocal,
  endpointFamily,
  hasLocal,
  isMapped,
  LOCAL_OFFSET,
} from '../transport/endpoint.ts';

/** Bytes of the four control messages that one message may have: 24 + 40 + 24 + 24, rounded up. An error has 64. */
const CONTROL_SIZE = 128;

export class MessageTable {
  /** Machine address of the first mmsghdr. */
  readonly address: number;
  /** Of the message that `readControl` was called for: size of its datagrams, 0 for a single one. */
  segmentSize = 0;
  /** The same: it came in IP fragments. */
  fragmented = false;
  /** The same: TOS or traffic class, 0 when the socket does not tell. */
  trafficClass = 0;
  /** Of a message from the error queue: an errno, and with EMSGSIZE the MTU of the path; 0 for none. */
  error = 0;
  pathMtu = 0;
  /** The same: where the socket address of who reports it begins, -1 for this host. */
  reporter = -1;
  private readonly bytes: Uint8Array;
  private readonly words: Int32Array;
  private readonly arenaAddress: number;
  private readonly headers: number;
  private readonly vectors: number;
  private readonly controls: number;

  constructor(arena: Arena, messages: number, vectors: number) {
    this.bytes = arena.bytes;
    this.words = arena.words;
    this.arenaAddress = arena.address;
    this.headers = arena.take(messages * MMSGHDR.size);
    this.vectors = arena.take(vectors * IOVEC.size);
    this.controls = arena.take(messages * CONTROL_SIZE);
    this.address = arena.address + this.headers;
  }

  /** Arena bytes such a table takes. */
  static arenaSize(messages: number, vectors: number): number {
    return messages * (MMSGHDR.size + CONTROL_SIZE) + vectors * IOVEC.size + 3 * 64;
  }

  /** Message `index` consists of `count` iovecs from `vector` on and goes to or comes from the row at `endpoint`. */
  setMessage(index: number, endpoint: number, endpointLength: number, vector: number, count: number): void {
    const header = this.header(index);
    this.words[header + (MMSGHDR.name >> 2)] = this.arenaAddress + endpoint;
    this.words[header + (MMSGHDR.nameLength >> 2)] = endpointLength;
    this.words[header + (MMSGHDR.iov >> 2)] = this.arenaAddress + this.vectors + vector * IOVEC.size;
    this.words[header + (MMSGHDR.iovLength >> 2)] = count;
    this.words[header + (MMSGHDR.control >> 2)] = this.arenaAddress + this.controls + index * CONTROL_SIZE;
    this.words[header + (MMSGHDR.controlLength >> 2)] = 0;
  }

  setVector(vector: number, offset: number, length: number): void {
    const word = (this.vectors + vector * IOVEC.size) >> 2;
    this.words[word] = this.arenaAddress + offset;
    this.words[word + (IOVEC.length >> 2)] = length;
  }

  /** Bytes of message `index` as counted by the kernel. */
  length(index: number): number {
    return this.words[this.header(index) + (MMSGHDR.length >> 2)];
  }

  /** Asks the kernel to cut message `index` into datagrams of `size` bytes (UDP_SEGMENT). */
  setSegmentSize(index: number, size: number): void {
    this.words[this.append(index, SOL_UDP, UDP_SEGMENT, 2)] = size;
  }

  /** Lets message `index` to the row at `endpoint` leave with this TOS or traffic class. */
  setTrafficClass(index: number, endpoint: number, trafficClass: number): void {
    // ip_cmsg_send and ip6_datagram_send_ctl look at their own level only.
    const ipv4 = endpointFamily(this.bytes, endpoint) === AF_INET || isMapped(this.bytes, endpoint);
    const data = ipv4
      ? this.append(index, IPPROTO_IP, IP_TOS, 4)
      : this.append(index, IPPROTO_IPV6, IPV6_TCLASS, 4);
    this.words[data] = trafficClass;
  }

  /** Lets message `index` leave from the local address and interface in the row at `endpoint`, if it has one. */
  setLocal(index: number, endpoint: number): void {
    const { bytes, words } = this;
    if (!hasLocal(bytes, endpoint)) return;
    const ipv4 = endpointFamily(bytes, endpoint) === AF_INET;
    const { size } = ipv4 ? IN_PKTINFO : IN6_PKTINFO;
    const data = ipv4
      ? this.append(index, IPPROTO_IP, IP_PKTINFO, size)
      : this.append(index, IPPROTO_IPV6, IPV6_PKTINFO, size);
    const from = (endpoint + LOCAL_OFFSET) >> 2;
    for (let word = 0; word < size >> 2; word++) words[data + word] = words[from + word];
  }

  /** Makes room for the control messages of a receive. */
  acceptControl(index: number): void {
    this.words[this.header(index) + (MMSGHDR.controlLength >> 2)] = CONTROL_SIZE;
  }

  /** Reads the control messages that message `index` came with; a local address goes to the row at `endpoint`. */
  readControl(index: number, endpoint: number): void {
    const { words } = this;
    this.segmentSize = 0;
    this.trafficClass = 0;
    this.fragmented = false;
    this.error = 0;
    this.pathMtu = 0;
    clearLocal(this.bytes, endpoint);
    let control = this.controls + index * CONTROL_SIZE;
    const end = control + words[this.header(index) + (MMSGHDR.controlLength >> 2)];
    while (control + CMSG.header <= end) {
      const length = words[control >> 2];
      if (length < CMSG.header) return;
      this.readOne(control, endpoint);
      control += aligned(length);
    }
  }

  private readOne(control: number, endpoint: number): void {
    const { words } = this;
    const level = words[(control + CMSG.level) >> 2];
    const type = words[(control + CMSG.type) >> 2];
    const data = control + CMSG.header;
    if (level === SOL_UDP) {
      if (type === UDP_GRO) this.segmentSize = words[data >> 2];
    } else if (level === IPPROTO_IP) {
      if (type === IP_PKTINFO) this.keepLocal(data, endpoint, IN_PKTINFO.address + 4);
      else if (type === IP_RECVERR) this.readError(data);
      else if (type === IP_RECVFRAGSIZE) this.fragmented = true;
      else if (type === IP_TOS) this.trafficClass = this.bytes[data];
    } else if (level === IPPROTO_IPV6) {
      if (type === IPV6_PKTINFO) this.keepLocal(data, endpoint, IN6_PKTINFO.size);
      else if (type === IPV6_RECVERR) this.readError(data);
      else if (type === IPV6_RECVFRAGSIZE) this.fragmented = true;
      else if (type === IPV6_TCLASS) this.trafficClass = words[data >> 2];
    }
  }

  private readError(data: number): void {
    this.error = this.words[(data + SOCK_EXTENDED_ERR.error) >> 2];
    if (this.error === EMSGSIZE) this.pathMtu = this.words[(data + SOCK_EXTENDED_ERR.info) >> 2];
    const reporter = data + SOCK_EXTENDED_ERR.size;
    this.reporter = endpointFamily(this.bytes, reporter) === 0 ? -1 : reporter;
  }

  private keepLocal(data: number, endpoint: number, size: number): void {
    const { words } = this;
    const to = (endpoint + LOCAL_OFFSET) >> 2;
    for (let word = 0; word < size >> 2; word++) words[to + word] = words[(data >> 2) + word];
  }

  /** Appends the header of a control message with `size` bytes of data; returns the word where these begin. */
  private append(index: number, level: number, type: number, size: number): number {
    const header = this.header(index);
    const used = this.words[header + (MMSGHDR.controlLength >> 2)];
    const control = (this.controls + index * CONTROL_SIZE + used) >> 2;
    this.words[control] = CMSG.header + size;
    this.words[control + (CMSG.level >> 2)] = level;
    this.words[control + (CMSG.type >> 2)] = type;
    this.words[header + (MMSGHDR.controlLength >> 2)] = used + aligned(CMSG.header + size);
    return control + (CMSG.header >> 2);
  }

  /** Index of the first word of message `index`. */
  private header(index: number): number {
    return (this.headers + index * MMSGHDR.size) >> 2;
  }
}

function aligned(length: number): number {
  return (length + CMSG.alignment - 1) & -CMSG.alignment;
}
