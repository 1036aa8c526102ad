/** What travels beside a datagram, over real sockets on loopback: our own address (`multihome`) and the TOS byte. */
import { afterEach, describe, expect, it } from 'vitest';
import { NativeArena } from '../../src/ffi/memory.ts';
import { Batch } from '../../src/packet/batch.ts';
import { PASS } from '../../src/packet/verdict.ts';
import {
  AF_INET,
  AF_INET6,
  copyEndpoint,
  encodeEndpoint,
  formatEndpoint,
  formatLocal,
  hasLocal,
  LOCAL_OFFSET,
  type EndpointFamily,
} from '../../src/transport/endpoint.ts';
import { LinuxUdpPort, UdpTables } from '../../src/udp/linux.ts';
import { openUdpSocket, type UdpSocketOptions } from '../../src/udp/open.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { PLAIN_SOCKET } from '../support/sockets.ts';

const SHAPE = { slots: 2048, buffers: 64 };
const SEND_SLOTS = 64;
const open: LinuxUdpPort[] = [];

afterEach(() => {
  for (const port of open.splice(0)) port.close();
});

function socketOn(localHost: string | undefined, options: Partial<UdpSocketOptions> = {}) {
  const socket = openUdpSocket({
    ...PLAIN_SOCKET,
    localHost,
    receiveBufferBytes: 1 << 20,
    offload: true,
    ...options,
  });
  const arena = new NativeArena(Batch.arenaSize(SHAPE) + UdpTables.arenaSize(SEND_SLOTS));
  const port = new LinuxUdpPort(socket.fd, new UdpTables(arena, SEND_SLOTS), socket.offload);
  open.push(port);
  return { port, batch: new Batch(arena, SHAPE), localPort: socket.localPort };
}

type TestSocket = ReturnType<typeof socketOn>;

/** `count` datagrams of `length` bytes to the endpoint in the first row. */
function fill({ batch }: TestSocket, count: number, endpoint: Uint8Array, length = 1000): void {
  copyEndpoint(endpoint, 0, batch.bytes, batch.endpointOffset(0));
  for (let slot = 0; slot < count; slot++) {
    batch.commit(slot, length);
    batch.endpoint[slot] = batch.endpointOffset(0);
  }
  batch.count = count;
}

function receive({ port, batch }: TestSocket): number {
  batch.count = 0;
  return port.recvBatch(batch);
}

/** Answers the datagram in slot 0 with `count` others. */
function answer({ port, batch }: TestSocket, count: number): void {
  const endpoint = batch.endpoint[0];
  for (let slot = 0; slot < count; slot++) {
    batch.commit(slot, 1000);
    batch.endpoint[slot] = endpoint;
  }
  expect(port.sendBatch(batch, 0, count)).toBe(count);
  expect(Array.from(batch.verdict.subarray(0, count))).toEqual(new Array(count).fill(PASS));
}

function sender({ batch }: TestSocket): string {
  return formatEndpoint(batch.bytes, batch.endpoint[0]).replace(/:\d+$/, '');
}

const rows: readonly {
  readonly title: string;
  readonly family: EndpointFamily;
  readonly caller: string;
  readonly callerFamily: EndpointFamily;
  readonly called: string;
}[] = [
  { title: 'IPv4', family: AF_INET, caller: '127.0.0.1', callerFamily: AF_INET, called: '127.0.0.5' },
  { title: 'IPv6', family: AF_INET6, caller: '::1', callerFamily: AF_INET6, called: '::1' },
  {
    title: 'IPv4 on an IPv6 socket',
    family: AF_INET6,
    caller: '127.0.0.1',
    callerFamily: AF_INET,
    called: '127.0.0.5',
  },
];

describe.each(rows)('with multihome, $title', ({ family, caller, callerFamily, called }) => {
  it('tells the address that a datagram was sent to, and answers from it, in runs too', () => {
    const hub = socketOn(undefined, { family, multihome: true });
    const peer = socketOn(caller, { family: callerFamily });
    fill(peer, 40, encodeEndpoint(called, hub.localPort));
    peer.port.sendBatch(peer.batch, 0, 40);
    expect(receive(hub)).toBe(40);
    expect(formatLocal(hub.batch.bytes, hub.batch.endpoint[0])).toBe(called);
    answer(hub, 30);
    expect(receive(peer)).toBe(30);
    expect(sender(peer)).toBe(`[${callerFamily === AF_INET ? 'AF_INET' : 'AF_INET6'}]${called}`);
  });

  it('sends a run with a TOS of its own from that address', () => {
    const hub = socketOn(undefined, { family, multihome: true });
    const peer = socketOn(caller, { family: callerFamily, trafficClass: true });
    fill(peer, 1, encodeEndpoint(called, hub.localPort));
    peer.port.sendBatch(peer.batch, 0, 1);
    receive(hub);
    hub.batch.count = 0;
    const endpoint = hub.batch.endpoint[0];
    for (let slot = 0; slot < 20; slot++) {
      hub.batch.commit(slot, 1000);
      hub.batch.endpoint[slot] = endpoint;
      hub.batch.trafficClass[slot] = slot < 10 ? 0xb8 : 0x20;
    }
    hub.port.sendBatch(hub.batch, 0, 20);
    expect(receive(peer)).toBe(20);
    expect(Array.from(peer.batch.trafficClass.subarray(0, 20))).toEqual([
      ...new Array(10).fill(0xb8),
      ...new Array(10).fill(0x20),
    ]);
    expect(sender(peer)).toContain(called);
  });

  it('lets the kernel choose when the address is not here any more', () => {
    const hub = socketOn(undefined, { family, multihome: true });
    const peer = socketOn(caller, { family: callerFamily });
    fill(peer, 1, encodeEndpoint(called, hub.localPort));
    peer.port.sendBatch(peer.batch, 0, 1);
    receive(hub);
    const { bytes, endpoint } = hub.batch;
    // 192.0.2.77, or its IPv4-mapped form, or 2001:db8::4d.
    const at = endpoint[0] + LOCAL_OFFSET + (family === AF_INET ? 4 : callerFamily === AF_INET ? 12 : 0);
    if (callerFamily === AF_INET) bytes.set([192, 0, 2, 77], at);
    else bytes.set([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 77], at);
    answer(hub, 5);
    expect(hasLocal(bytes, endpoint[0])).toBe(false);
    expect(receive(peer)).toBe(5);
  });
});

describe('without multihome', () => {
  it('forgets what another socket has left in the row', () => {
    const hub = socketOn('127.0.0.1');
    const peer = socketOn('127.0.0.1');
    hub.batch.bytes.fill(1, hub.batch.endpointOffset(0) + LOCAL_OFFSET, hub.batch.endpointOffset(1));
    fill(peer, 1, encodeEndpoint('127.0.0.1', hub.localPort));
    peer.port.sendBatch(peer.batch, 0, 1);
    expect(receive(hub)).toBe(1);
    expect(hasLocal(hub.batch.bytes, hub.batch.endpoint[0])).toBe(false);
    expect(formatLocal(hub.batch.bytes, hub.batch.endpoint[0])).toBeUndefined();
  });
});

describe('a TOS byte', () => {
  it('is 0 for a socket that does not tell it, and for datagrams without one', () => {
    const quiet = socketOn('127.0.0.1');
    const telling = socketOn('127.0.0.1', { trafficClass: true });
    const peer = socketOn('127.0.0.1');
    for (const [to, marked] of [
      [quiet, 0x80],
      [telling, 0],
    ] as const) {
      fill(peer, 2, encodeEndpoint('127.0.0.1', to.localPort));
      peer.batch.trafficClass.fill(marked, 0, 2);
      peer.port.sendBatch(peer.batch, 0, 2);
      expect(receive(to)).toBe(2);
      expect(to.batch.trafficClass[0]).toBe(0);
    }
  });

  it('and the address cost no allocation per datagram', () => {
    const hub = socketOn(undefined, { multihome: true, trafficClass: true });
    const peer = socketOn('127.0.0.1', { trafficClass: true });
    let received = 0;
    fill(peer, 16, encodeEndpoint('127.0.0.5', hub.localPort));
    const perRound = bytesPerCall(() => {
      peer.batch.trafficClass.fill(0xb8, 0, 16);
      peer.port.sendBatch(peer.batch, 0, 16);
      received += receive(hub);
      hub.batch.trafficClass.fill(0x20, 0, 16);
      hub.port.sendBatch(hub.batch, 0, 16);
      received += receive(hub);
    });
    expect(received).toBeGreaterThan(0);
    expect(perRound).toBeLessThan(64);
  });
});
