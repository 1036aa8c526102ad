/**
 * A netlink socket used like a function call: send one request, read until its acknowledgement or the end of its
 * dump. The kernel processes a request inside sendto(), so the answer is already queued and nothing here waits.
 *
 *     struct nlmsghdr    0 length (u32)  4 type (u16)  6 flags (u16)  8 sequence (u32)  12 port id (u32)  16 payload
 *
 * All integers are in host order (little-endian on x86-64 and arm64). Constants: linux/netlink.h.
 */
import {
  EAGAIN,
  EINTR,
  EINVAL,
  ENOBUFS,
  MSG_DONTWAIT,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_SOCKET,
  SO_RCVBUFFORCE,
} from './constants.ts';
import { bind, check, close, errno, OsError, recv, sendto, setsockopt, socket } from './libc.ts';

const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
/** The error message does not repeat the request. */
const NETLINK_CAP_ACK = 10;
/** The error message carries a sentence of explanation. */
const NETLINK_EXT_ACK = 11;
/** Dumps honour the filters in the request (Linux 4.20). */
const NETLINK_GET_STRICT_CHK = 12;

const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;

const HEADER_SIZE = 16;
const SOCKADDR_NL_SIZE = 12;
/** The kernel fills dump messages up to 32 KiB (netlink_dump, NLMSG_GOODSIZE); one read takes a whole one. */
const RECEIVE_SIZE = 65536;
/** Requests sent together. The kernel queues an answer to each refused one: all have room in a default receive buffer. */
const BATCH_SIZE = 64;
/**
 * What a listener's queue may hold, bytes (the kernel doubles the number): a routing daemon at its start makes some
 * 50 000 routes a second, each a message of about a kilobyte there, and the reader may be busy for half a second.
 */
const LISTENER_BUFFER = 32 << 20;

/** Takes one message with its payload `bytes[offset .. end)`, which is valid until it returns. */
export type OnMessage = (type: number, flags: number, bytes: Uint8Array, offset: number, end: number) => void;

/** The kernel's refusal of one request, with its own explanation where it gave one. */
export class NetlinkError extends OsError {
  /** Extended acknowledgement, for example `Nexthop has invalid gateway`; empty when there is none. */
  readonly explanation: string;

  constructor(request: string, errnoValue: number, explanation: string) {
    super(request, errnoValue);
    this.name = 'NetlinkError';
    this.explanation = explanation;
    if (explanation !== '') this.message += `: ${explanation}`;
  }
}

function openSocket(): number {
  const fd = check('socket(AF_NETLINK)', socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  const address = new Uint8Array(SOCKADDR_NL_SIZE);
  address[0] = AF_NETLINK;
  check('bind(AF_NETLINK)', bind(fd, address, address.length));
  return fd;
}

/** Lends `use`, which must be synchronous, a Netlink. */
export function withNetlink<Result>(use: (netlink: Netlink) => Result): Result {
  const netlink = new Netlink();
  try {
    return use(netlink);
  } finally {
    netlink.close();
  }
}

/** A NETLINK_ROUTE socket in the network namespace of the calling thread. Close it after use. */
export class Netlink {
  private readonly fd: number;
  private readonly buffer = new Uint8Array(RECEIVE_SIZE);
  private sequence = 0;

  constructor() {
    this.fd = openSocket();
    const on = Uint8Array.of(1, 0, 0, 0);
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]) {
      // Older kernels lack some of them; every answer can be read without.
      setsockopt(this.fd, SOL_NETLINK, option, on, on.length);
    }
  }

  close(): void {
    close(this.fd);
  }

  /**
   * Sends one request and returns the payloads of the answers (copies). `name` appears in errors. Throws
   * NetlinkError when the kernel refuses.
   */
  transact(name: string, type: number, flags: number, payload: Uint8Array): Uint8Array[] {
    const answers: Uint8Array[] = [];
    this.send(name, [this.message(type, flags | NLM_F_ACK, payload)]);
    this.answers(name, (_type, _flags, bytes, offset, end) => answers.push(bytes.slice(offset, end)));
    return answers;
  }

  /** As `transact`, for a list that may be long. */
  dump(name: string, type: number, payload: Uint8Array, onMessage: OnMessage): void {
    this.send(name, [this.message(type, NLM_F_DUMP | NLM_F_ACK, payload)]);
    this.answers(name, onMessage);
  }

  /**
   * Sends requests of one type that are answered by an acknowledgement only, many at a time, and returns the kernel's
   * refusals by position. Each is carried out whatever becomes of the others.
   */
  transactAll(
    name: string,
    type: number,
    flags: number,
    payloads: readonly Uint8Array[],
  ): Map<number, NetlinkError> {
    const refusals = new Map<number, NetlinkError>();
    for (let first = 0; first < payloads.length; first += BATCH_SIZE) {
      const batch = payloads.slice(first, first + BATCH_SIZE);
      const before = this.sequence;
      // Refusals are answered in any case, and come before the last acknowledgement.
      const messages = batch.map((payload, i) =>
        this.message(type, i === batch.length - 1 ? flags | NLM_F_ACK : flags, payload),
      );
      this.send(name, messages);
      const refused = (error: NetlinkError, sequence: number) =>
        refusals.set(first + sequence - before - 1, error);
      while (!this.read(name, () => {}, refused));
    }
    return refusals;
  }

  private message(type: number, flags: number, payload: Uint8Array): Uint8Array {
    const message = new Uint8Array(HEADER_SIZE + payload.length);
    const header = new DataView(message.buffer);
    header.setUint32(0, message.length, true);
    header.setUint16(4, type, true);
    header.setUint16(6, flags | NLM_F_REQUEST, true);
    header.setUint32(8, ++this.sequence, true);
    message.set(payload, HEADER_SIZE);
    return message;
  }

  /** The messages' sizes are multiples of 4. */
  private send(name: string, messages: readonly Uint8Array[]): void {
    const bytes = messages.length === 1 ? messages[0] : concat(...messages);
    check(name, sendto(this.fd, bytes, bytes.length, 0, null, 0));
  }

  /** Reads the answers to the last request. Throws NetlinkError when it was refused. */
  private answers(name: string, onMessage: OnMessage): void {
    const { sequence } = this;
    const refused = (error: NetlinkError, of: number) => {
      if (of === sequence) throw error;
    };
    while (!this.read(name, onMessage, refused));
  }

  /** Reads one datagram of messages; true when it held the end of the answer to the last request. */
  private read(
    name: string,
    onMessage: OnMessage,
    refused: (error: NetlinkError, sequence: number) => void,
  ): boolean {
    const size = this.receive(name);
    let ended = false;
    eachMessage(this.buffer, size, (type, flags, bytes, offset, end) => {
      const sequence = readU32(bytes, offset - 8);
      if (type === NLMSG_ERROR || type === NLMSG_DONE) {
        const error = refusal(name, flags, bytes.subarray(offset, end));
        ended ||= sequence === this.sequence;
        if (error !== undefined) refused(error, sequence);
      } else if (sequence === this.sequence) {
        onMessage(type, flags, bytes, offset, end);
      }
    });
    return ended;
  }

  private receive(name: string): number {
    for (;;) {
      const size = recv(this.fd, this.buffer, this.buffer.length, 0);
      if (size >= 0 || errno() !== EINTR) return check(name, size);
    }
  }
}

/** A NETLINK_ROUTE socket that hears of changes in the network namespace of the thread that opened it. */
export class NetlinkListener {
  private readonly fd: number;
  private readonly buffer = new Uint8Array(RECEIVE_SIZE);

  /** Multicast groups: RTNLGRP_* of linux/rtnetlink.h. Those the kernel does not know have nothing to say. */
  constructor(groups: readonly number[]) {
    this.fd = openSocket();
    // Without CAP_NET_ADMIN the queue is shorter, and more often read from the start.
    setsockopt(this.fd, SOL_SOCKET, SO_RCVBUFFORCE, u32(LISTENER_BUFFER), 4);
    for (const group of groups) {
      const name = `setsockopt(NETLINK_ADD_MEMBERSHIP ${group})`;
      const result = setsockopt(this.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, u32(group), 4);
      if (result < 0 && errno() !== EINVAL) check(name, result);
    }
  }

  /** Hands over what has been heard since the last call, without waiting; `lost` when the kernel had no room for some of it. */
  read(onMessage: OnMessage): { readonly heard: boolean; readonly lost: boolean } {
    for (let heard = false, lost = false; ; heard = true) {
      const size = recv(this.fd, this.buffer, this.buffer.length, MSG_DONTWAIT);
      if (size >= 0) {
        eachMessage(this.buffer, size, onMessage);
        continue;
      }
      const failure = errno();
      if (failure === EAGAIN) return { heard, lost };
      if (failure === ENOBUFS) lost = true;
      else if (failure !== EINTR) check('recv(AF_NETLINK)', -1);
    }
  }

  close(): void {
    close(this.fd);
  }
}

/** The messages of one datagram of `size` bytes. */
function eachMessage(bytes: Uint8Array, size: number, onMessage: OnMessage): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, size);
  for (let offset = 0; offset + HEADER_SIZE <= size;) {
    const length = view.getUint32(offset, true);
    if (length < HEADER_SIZE || offset + length > size) return;
    const type = view.getUint16(offset + 4, true);
    onMessage(type, view.getUint16(offset + 6, true), bytes, offset + HEADER_SIZE, offset + length);
    offset += (length + 3) & ~3;
  }
}

/** Both the end of a dump and an acknowledgement begin with an errno, 0 or negative. */
function refusal(name: string, flags: number, body: Uint8Array): NetlinkError | undefined {
  const code = readU32(body) | 0;
  if (code === 0) return undefined;
  // struct nlmsgerr: errno, then the header of the refused request (capped), then attributes.
  const explanation =
    flags & NLM_F_ACK_TLVS ? parseAttributes(body, 4 + HEADER_SIZE).get(NLMSGERR_ATTR_MSG) : undefined;
  return new NetlinkError(name, -code, explanation === undefined ? '' : decodeText(explanation));
}

/**
 * Hands over the attributes in `bytes[offset .. end)`: type, and where the value begins and ends.
 *
 *     struct rtattr/nlattr: length (u16, header included), type (u16), value, padding to 4. The nested flag is cleared.
 */
export function eachAttribute(
  bytes: Uint8Array,
  offset: number,
  end: number,
  onAttribute: (type: number, at: number, to: number) => void,
): void {
  for (let at = offset; at + 4 <= end;) {
    const length = bytes[at] | (bytes[at + 1] << 8);
    if (length < 4 || at + length > end) return;
    onAttribute((bytes[at + 2] | (bytes[at + 3] << 8)) & 0x3fff, at + 4, at + length);
    at += (length + 3) & ~3;
  }
}

/** The values of the attributes in `bytes[offset ..)`, by type. */
export function parseAttributes(bytes: Uint8Array, offset: number): Map<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  eachAttribute(bytes, offset, bytes.length, (type, at, to) => attributes.set(type, bytes.subarray(at, to)));
  return attributes;
}

/** One attribute, padded; several parts are joined, which is how nested attributes are written. */
export function attribute(type: number, ...parts: Uint8Array[]): Uint8Array {
  const size = parts.reduce((sum, part) => sum + part.length, 4);
  const bytes = new Uint8Array((size + 3) & ~3);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, size, true);
  view.setUint16(2, type, true);
  let offset = 4;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

export function readU32(bytes: Uint8Array, offset = 0): number {
  const low = bytes[offset] | (bytes[offset + 1] << 8) | (bytes[offset + 2] << 16);
  return (low | (bytes[offset + 3] << 24)) >>> 0;
}

export function zeroTerminated(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

export function decodeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).replace(/\0.*$/s, '');
}
