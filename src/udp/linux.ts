/**
 * A UDP socket driven by recvmmsg and sendmmsg: one system call moves a batch. With offloads, a run of datagrams of
 * equal size to one peer is one message that the kernel (or the network card) cuts apart (UDP_SEGMENT), and a run that
 * arrived together is received as one (UDP_GRO).
 */
import {
  EAGAIN,
  EINTR,
  EINVAL,
  EIO,
  EMSGSIZE,
  ENETUNREACH,
  ENOBUFS,
  MSG_DONTWAIT,
} from '../ffi/constants.ts';
import { MMSGHDR } from '../ffi/layout.ts';
import { close, errno, recvmmsg, sendmmsg } from '../ffi/libc.ts';
import type { Arena } from '../packet/arena.ts';
import { ENDPOINT_SIZE, MAX_PACKET, type Batch } from '../packet/batch.ts';
import { udpHeaders } from '../packet/surplus.ts';
import { DropReason, PASS } from '../packet/verdict.ts';
import { clearLocal, endpointAddress, endpointLength, hasLocal } from '../transport/endpoint.ts';
import { ErrorQueue } from './error-queue.ts';
import { MessageTable } from './message-table.ts';
import { probeMode } from './probe-mode.ts';
import { sendFragments, sendSized, type Datagram, type RawDoor } from './raw.ts';
import type { SendError, SizedSend, TransportPort, UdpOffload } from '../transport/port.ts';

/** Messages of one receive call. */
const RECEIVE_MESSAGES = 16;
/** linux/udp.h: datagrams the kernel puts into, or cuts out of, one message. */
const MAX_SEGMENTS = 64;
/** Largest UDP payload over IPv4; a run is cut out of no more. */
const MAX_RUN = 65507;

/** Slots a batch for receiving needs to hold what one call may bring. */
const RECEIVE_SLOTS = RECEIVE_MESSAGES * MAX_SEGMENTS;

/** The message tables of one port, made once: a port that is reopened takes them over. */
export class UdpTables {
  readonly receive: MessageTable;
  readonly send: MessageTable;
  readonly errors: ErrorQueue;
  /** First slot of each message in the send table. */
  readonly firstSlot: Int32Array;

  constructor(arena: Arena, sendSlots: number) {
    this.receive = new MessageTable(arena, RECEIVE_MESSAGES, RECEIVE_MESSAGES);
    this.send = new MessageTable(arena, sendSlots, sendSlots);
    this.errors = new ErrorQueue(arena);
    this.firstSlot = new Int32Array(sendSlots + 1);
  }

  /** Arena bytes the tables for batches of `sendSlots` take. */
  static arenaSize(sendSlots: number): number {
    return (
      MessageTable.arenaSize(RECEIVE_MESSAGES, RECEIVE_MESSAGES) +
      MessageTable.arenaSize(sendSlots, sendSlots) +
      ErrorQueue.arenaSize()
    );
  }
}

/** Owns and closes the descriptor. Batches must lie in the arena the tables were made on. */
export class LinuxUdpPort implements TransportPort {
  readonly fd: number;
  private readonly receive: MessageTable;
  private readonly send: MessageTable;
  private readonly errors: ErrorQueue;
  private readonly firstSlot: Int32Array;
  /** Datagrams longer than this do not fit the path behind the kernel's segmentation; 0 after it failed altogether. */
  private longestRun: number;
  private fallbacks = 0;
  private readonly raw: RawDoor | undefined;
  /** The first datagram that did not leave since errors were read. */
  private sendError: SendError | undefined;

  constructor(fd: number, tables: UdpTables, offload: UdpOffload, raw?: RawDoor) {
    this.fd = fd;
    this.raw = raw;
    this.receive = tables.receive;
    this.send = tables.send;
    this.errors = tables.errors;
    this.firstSlot = tables.firstSlot;
    this.longestRun = offload.segment ? MAX_RUN : 0;
  }

  /** Times a run had to be sent one by one since the last call. */
  takeFallbacks(): number {
    const { fallbacks } = this;
    this.fallbacks = 0;
    return fallbacks;
  }

  recvBatch(batch: Batch): number {
    const first = batch.count;
    let buffer = 0;
    while (buffer < batch.buffers && batch.slots - batch.count >= RECEIVE_SLOTS) {
      const wanted = Math.min(RECEIVE_MESSAGES, batch.buffers - buffer);
      const received = this.receiveInto(batch, buffer, wanted);
      for (let i = 0; i < received; i++) this.commit(batch, buffer + i, i);
      buffer += received;
      if (received < wanted) break;
    }
    return batch.count - first;
  }

  private receiveInto(batch: Batch, buffer: number, count: number): number {
    for (let i = 0; i < count; i++) {
      this.receive.setVector(i, batch.packetOffset(buffer + i), MAX_PACKET);
      this.receive.setMessage(i, batch.endpointOffset(buffer + i), ENDPOINT_SIZE, i, 1);
      this.receive.acceptControl(i);
    }
    let received = recvmmsg(this.fd, this.receive.address, count, MSG_DONTWAIT, 0);
    while (received < 0 && errno() === EINTR) {
      received = recvmmsg(this.fd, this.receive.address, count, MSG_DONTWAIT, 0);
    }
    // EAGAIN is the normal end; anything else (ECONNREFUSED from ICMP) is information about an earlier send.
    return Math.max(0, received);
  }

  /** One slot for each datagram of the message in `buffer`. */
  private commit(batch: Batch, buffer: number, message: number): void {
    const start = batch.packetOffset(buffer);
    const endpoint = batch.endpointOffset(buffer);
    const length = this.receive.length(message);
    this.receive.readControl(message, endpoint);
    const size = this.receive.segmentSize || length;
    const { trafficClass, fragmented } = this.receive;
    let at = 0;
    do {
      const slot = batch.count++;
      batch.commitAt(slot, start + at, Math.min(size, length - at));
      batch.endpoint[slot] = endpoint;
      batch.trafficClass[slot] = trafficClass;
      batch.fragmented[slot] = fragmented ? 1 : 0;
      at += size;
    } while (at < length);
  }

  sendBatch(batch: Batch, first: number, end: number): number {
    const messages = this.fillSendTable(batch, first, end, this.longestRun);
    let sent = 0;
    let failed = -1;
    while (sent < messages) {
      const result = sendmmsg(
        this.fd,
        this.send.address + sent * MMSGHDR.size,
        messages - sent,
        MSG_DONTWAIT,
      );
      if (result > 0) {
        sent += result;
        continue;
      }
      const failure = errno();
      if (failure === EINTR) continue;
      const slot = this.firstSlot[sent];
      if (failure === EAGAIN) return slot;
      // An error may be about an earlier datagram (ICMP): the first one says nothing about this.
      if (failed !== sent) {
        failed = sent;
        continue;
      }
      const runFailed = this.runFailed(batch, slot, this.firstSlot[sent + 1], failure);
      if (runFailed || this.localGone(batch, slot, failure)) return this.sendBatch(batch, slot, end);
      // sendmmsg reports the error of the first message it could not send: that one is lost, the rest go on.
      const lost = sendVerdict(failure);
      if (lost === DropReason.SendFailed) this.keepError(batch, slot, failure);
      for (let i = slot; i < this.firstSlot[sent + 1]; i++) batch.verdict[i] ||= lost;
      sent++;
    }
    return end;
  }

  private keepError({ bytes, endpoint }: Batch, slot: number, errno: number): void {
    this.sendError ??= { bytes, endpoint: endpoint[slot], errno, pathMtu: 0, reporter: -1 };
  }

  /** Was the datagram to leave from an address that this host may not have any more? Then the kernel chooses one. */
  private localGone({ bytes, endpoint }: Batch, slot: number, failure: number): boolean {
    if (failure !== EINVAL && failure !== ENETUNREACH) return false;
    if (!hasLocal(bytes, endpoint[slot])) return false;
    clearLocal(bytes, endpoint[slot]);
    return true;
  }

  /**
   * Was the message a run of datagrams, which the kernel did not want to cut? EINVAL: a datagram exceeds the path's MTU,
   * which a single one may (it is fragmented). EIO: the device cannot compute the checksums. Learns from it.
   */
  private runFailed(batch: Batch, first: number, end: number, failure: number): boolean {
    if (failure !== EINVAL && failure !== EIO && failure !== EMSGSIZE) return false;
    let datagrams = 0;
    for (let slot = first; slot < end && datagrams < 2; slot++) if (batch.verdict[slot] === PASS) datagrams++;
    if (datagrams < 2 || this.longestRun === 0) return false;
    this.longestRun = failure === EIO ? 0 : Math.min(this.longestRun, batch.length[first] - 1);
    this.fallbacks++;
    return true;
  }

  /** One message for each run; returns how many. */
  private fillSendTable(batch: Batch, first: number, end: number, longestRun: number): number {
    const { bytes, verdict, length, endpoint, trafficClass } = batch;
    let messages = 0;
    let vector = 0;
    let slot = first;
    while (slot < end) {
      if (verdict[slot] !== PASS) {
        slot++;
        continue;
      }
      const size = length[slot];
      const target = endpoint[slot];
      const outer = trafficClass[slot];
      const head = slot;
      const headVector = vector;
      let total = 0;
      let open = true;
      while (open && slot < end) {
        if (verdict[slot] === PASS) {
          const fits =
            length[slot] <= size && total + length[slot] <= MAX_RUN && vector - headVector < MAX_SEGMENTS;
          const alike = endpoint[slot] === target && trafficClass[slot] === outer;
          if (slot > head && (!fits || !alike || size > longestRun)) break;
          this.send.setVector(vector++, batch.start[slot], length[slot]);
          total += length[slot];
          // Only the last datagram of a run may be shorter.
          open = length[slot] === size;
        }
        slot++;
      }
      this.firstSlot[messages] = head;
      this.send.setMessage(messages, target, endpointLength(bytes, target), headVector, vector - headVector);
      if (vector - headVector > 1) this.send.setSegmentSize(messages, size);
      if (outer !== 0) this.send.setTrafficClass(messages, target, outer);
      this.send.setLocal(messages, target);
      messages++;
    }
    this.firstSlot[messages] = end;
    return messages;
  }

  readErrors(report: (error: SendError) => void): void {
    this.errors.drain(this.fd, report);
    if (this.sendError !== undefined) report(this.sendError);
    this.sendError = undefined;
  }

  get hasErrors(): boolean {
    return this.sendError !== undefined;
  }

  get exactSizes(): boolean {
    return this.raw !== undefined;
  }

  sendSized(batch: Batch, slot: number, total: number): SizedSend {
    if (this.raw !== undefined) return sendSized(this.raw, this.datagram(batch, slot), total);
    const natural = udpHeaders(endpointAddress(batch.bytes, batch.endpoint[slot])) + batch.length[slot];
    return total === natural ? this.sendWhole(batch, slot) : 'unable';
  }

  sendFragments(batch: Batch, slot: number, identification: number): SizedSend {
    if (this.raw === undefined) return 'unable';
    return sendFragments(this.raw, this.datagram(batch, slot), identification);
  }

  private datagram(batch: Batch, slot: number): Datagram {
    const { start, length, endpoint } = batch;
    return { fd: this.fd, start: start[slot], length: length[slot], target: endpoint[slot] };
  }

  /** In one IP packet that nobody may cut, whatever the kernel believes of the path. */
  private sendWhole(batch: Batch, slot: number): SizedSend {
    const restore = probeMode(this.fd);
    const sent = this.sendBatch(batch, slot, slot + 1) > slot && batch.verdict[slot] === PASS;
    restore();
    if (sent) return 'sent';
    return batch.verdict[slot] === DropReason.MessageSize ? 'too-big' : 'unable';
  }

  close(): void {
    close(this.fd);
  }
}

function sendVerdict(failure: number): DropReason {
  if (failure === EMSGSIZE) return DropReason.MessageSize;
  return failure === ENOBUFS ? DropReason.SendBuffer : DropReason.SendFailed;
}
