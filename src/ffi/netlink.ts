/**
 * A netlink socket used like a function call: send one request, read until its acknowledgement or the end of its
 * dump. The kernel processes a request inside sendto(), so the answer is already queued and nothing here waits.
 *
 *     struct nlmsghdr    0 length (u32)  4 type (u16)  6 flags (u16)  8 sequence (u32)  12 port id (u32)  16 payload
 *
 * All integers are in host order (little-endian on x86-64 and arm64). Constants: linux/netlink.h.
 */
import { EAGAIN, EINTR, ENOBUFS, MSG_DONTWAIT, SOCK_CLOEXEC } from './constants.ts';
import { bind, check, close, errno, OsError, recv, sendto, setsockopt, socket } from './libc.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
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
    const message = new Uint8Array(HEADER_SIZE + payload.length);
    const header = new DataView(message.buffer);
    header.setUint32(0, message.length, true);
    header.setUint16(4, type, true);
    header.setUint16(6, flags | NLM_F_REQUEST | NLM_F_ACK, true);
    header.setUint32(8, ++this.sequence, true);
    message.set(payload, HEADER_SIZE);
    check(name, sendto(this.fd, message, message.length, 0, null, 0));
    const answers: Uint8Array[] = [];
    while (!this.readInto(name, answers));
    return answers;
  }

  /** Reads one datagram of messages; true when it held the end of the answer. */
  private readInto(name: string, answers: Uint8Array[]): boolean {
    const size = this.receive(name);
    const view = new DataView(this.buffer.buffer, 0, size);
    for (let offset = 0; offset + HEADER_SIZE <= size;) {
      const length = view.getUint32(offset, true);
      const type = view.getUint16(offset + 4, true);
      const flags = view.getUint16(offset + 6, true);
      const body = this.buffer.slice(offset + HEADER_SIZE, offset + length);
      if (view.getUint32(offset + 8, true) === this.sequence) {
        if (type === NLMSG_ERROR || type === NLMSG_DONE) {
          throwIfRefused(name, flags, body);
          return true;
        }
        answers.push(body);
      }
      offset += (length + 3) & ~3;
    }
    return false;
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

  /** Multicast groups: RTNLGRP_* of linux/rtnetlink.h. */
  constructor(groups: readonly number[]) {
    this.fd = openSocket();
    for (const group of groups) {
      const name = `setsockopt(NETLINK_ADD_MEMBERSHIP ${group})`;
      check(name, setsockopt(this.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, u32(group), 4));
    }
  }

  /**
   * Discards what has been heard since the last call, without waiting; false when that is nothing. Messages the kernel could
   * not queue (ENOBUFS) count as heard.
   */
  drain(): boolean {
    for (let heard = false; ; heard = true) {
      if (recv(this.fd, this.buffer, this.buffer.length, MSG_DONTWAIT) >= 0) continue;
      const failure = errno();
      if (failure === EAGAIN) return heard;
      if (failure !== EINTR && failure !== ENOBUFS) check('recv(AF_NETLINK)', -1);
    }
  }

  close(): void {
    close(this.fd);
  }
}

/** Both the end of a dump and an acknowledgement begin with an errno, 0 or negative. */
function throwIfRefused(name: string, flags: number, body: Uint8Array): void {
  const code = new DataView(body.buffer).getInt32(0, true);
  if (code === 0) return;
  // struct nlmsgerr: errno, then the header of the refused request (capped), then attributes.
  const explanation =
    flags & NLM_F_ACK_TLVS ? parseAttributes(body, 4 + HEADER_SIZE).get(NLMSGERR_ATTR_MSG) : undefined;
  throw new NetlinkError(name, -code, explanation === undefined ? '' : decodeText(explanation));
}

/** struct rtattr/nlattr: length (u16, header included), type (u16), value, padding to 4. The nested flag is cleared. */
export function parseAttributes(bytes: Uint8Array, offset: number): Map<number, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const attributes = new Map<number, Uint8Array>();
  while (offset + 4 <= bytes.length) {
    const length = view.getUint16(offset, true);
    if (length < 4 || offset + length > bytes.length) break;
    attributes.set(view.getUint16(offset + 2, true) & 0x3fff, bytes.subarray(offset + 4, offset + length));
    offset += (length + 3) & ~3;
  }
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

export function readU32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

export function zeroTerminated(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

export function decodeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).replace(/\0.*$/s, '');
}
