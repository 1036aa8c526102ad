/** Real connections over loopback: needs no root. */
import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { NativeArena } from '../../src/ffi/memory.ts';
import { Poller } from '../../src/ffi/poller.ts';
import { Batch } from '../../src/packet/batch.ts';
import { TcpPorts, type LinuxTcpPort } from '../../src/tcp/linux.ts';
import * as c from '../../src/ffi/constants.ts';
import { getInt } from '../../src/ffi/socket.ts';
import {
  accept,
  describeTcpSocket,
  KEEPALIVE,
  openTcpSocket,
  pendingError,
  startConnect,
  type TcpSocketOptions,
} from '../../src/tcp/open.ts';
import {
  AF_INET,
  AF_INET6,
  encodeEndpoint,
  formatEndpoint,
  type EndpointFamily,
} from '../../src/transport/endpoint.ts';
import { bytesPerCall } from '../support/allocs.ts';

const SLOTS = 64;
const SHAPE = { slots: 256, buffers: 16 };
const BATCH_BYTES = SLOTS * 70_000;

const open: LinuxTcpPort[] = [];

afterEach(() => {
  for (const port of open.splice(0)) port.close();
});

function options(
  family: EndpointFamily,
  local: TcpSocketOptions['local'],
  sendBufferBytes?: number,
): TcpSocketOptions {
  return {
    family,
    local,
    ipv6Only: false,
    sendBufferBytes,
    receiveBufferBytes: undefined,
    mark: undefined,
    bindDevice: undefined,
  };
}

/** Waits for the descriptor, at most two seconds. */
function ready(fd: number, writable: boolean): void {
  const poller = new Poller();
  poller.tryOnce(fd, 1, writable);
  expect(poller.wait(2000)).toBe(1);
  poller.close();
}

function connection(host: string, family: EndpointFamily, sendBufferBytes?: number) {
  const listener = openTcpSocket(options(family, { host, port: 0 }), true);
  const { localPort } = describeTcpSocket(listener, family);
  const calling = openTcpSocket(options(family, undefined, sendBufferBytes), false);
  expect(startConnect(calling, encodeEndpoint(host, localPort, family))).toBe(0);
  ready(calling, true);
  expect(pendingError(calling)).toBe(0);
  ready(listener, false);
  const accepted = accept(listener)!;
  expect(accept(listener)).toBeUndefined();
  const ports = new TcpPorts({ sendSlots: SLOTS, batchBytes: BATCH_BYTES, longestDatagram: 16_384 });
  const remote = encodeEndpoint(host, localPort, family);
  const [a, b] = [ports.open(calling, remote), ports.open(accepted.fd, accepted.remote)];
  open.push(a, b, ports.open(listener, remote));
  const batch = () => new Batch(new NativeArena(Batch.arenaSize(SHAPE)), SHAPE);
  return { a: { port: a, batch: batch() }, b: { port: b, batch: batch() }, calling, family, ports };
}

/** Fills `count` slots with datagrams of `length` bytes. */
function fill(batch: Batch, count: number, length: number): void {
  for (let slot = 0; slot < count; slot++) {
    batch.bytes.fill(
      slot + 1,
      batch.packetOffset(slot % batch.buffers),
      batch.packetOffset(slot % batch.buffers) + length,
    );
    batch.commitAt(slot, batch.packetOffset(slot % batch.buffers), length);
  }
  batch.count = count;
}

describe('a TCP connection', () => {
  it.each([
    ['127.0.0.1', AF_INET, '[AF_INET]127.0.0.1'],
    ['::1', AF_INET6, '[AF_INET6]::1'],
  ] as const)('carries a batch over %s, in order, with the sender known', (host, family, shown) => {
    const { a, b, calling } = connection(host, family);
    fill(a.batch, 16, 1400);
    expect(a.port.sendBatch(a.batch, 0, 16)).toBe(16);
    ready(b.port.fd, false);
    expect(b.port.recvBatch(b.batch)).toBe(16);
    const local = describeTcpSocket(calling, family).local;
    expect(local.startsWith(shown)).toBe(true);
    for (let slot = 0; slot < 16; slot++) {
      expect(b.batch.length[slot]).toBe(1400);
      expect(b.batch.bytes[b.batch.start[slot]]).toBe(slot + 1);
      expect(formatEndpoint(b.batch.bytes, b.batch.endpoint[slot])).toBe(local);
    }
  });

  it('keeps what the kernel does not take, and sends it later', () => {
    const { a, b } = connection('127.0.0.1', AF_INET, 4096);
    let sent = 0;
    while (!a.port.congested && sent < 100_000) {
      fill(a.batch, 16, 16_000);
      expect(a.port.sendBatch(a.batch, 0, 16)).toBe(16);
      sent += 16;
    }
    expect(a.port.congested).toBe(true);
    let received = 0;
    for (let round = 0; round < 100_000 && (a.port.congested || received < sent); round++) {
      b.batch.count = 0;
      received += b.port.recvBatch(b.batch);
      a.port.flush();
    }
    expect(received).toBe(sent);
    expect(b.port.ended).toBeUndefined();
  });

  it('is asked after by the kernel when it is silent, at both ends', () => {
    const { a, b } = connection('127.0.0.1', AF_INET);
    for (const { port } of [a, b]) {
      const option = (level: number, name: number) => getInt(port.fd, level, name);
      expect(option(c.SOL_SOCKET, c.SO_KEEPALIVE)).toBe(1);
      expect(
        [c.TCP_KEEPIDLE, c.TCP_KEEPINTVL, c.TCP_KEEPCNT].map((name) => option(c.IPPROTO_TCP, name)),
      ).toEqual([KEEPALIVE.idleSec, KEEPALIVE.intervalSec, KEEPALIVE.probes]);
    }
  });

  it('ends when the other end closes', () => {
    const { a, b } = connection('127.0.0.1', AF_INET);
    open.splice(open.indexOf(a.port), 1);
    a.port.close();
    ready(b.port.fd, false);
    expect(b.port.recvBatch(b.batch)).toBe(0);
    expect(b.port.ended).toEqual({ kind: 'reset' });
  });

  it('leaves its memory to the next one', () => {
    const { a, b, ports } = connection('127.0.0.1', AF_INET);
    const memory = new Set<unknown>();
    for (let i = 0; i < 3; i++) {
      const port = ports.open(-1, encodeEndpoint('127.0.0.1', 1));
      memory.add(Reflect.get(Reflect.get(port, 'options') as object, 'memory'));
      port.close();
    }
    expect(memory.size).toBe(1);
    expect(a.port.fd).not.toBe(b.port.fd);
  });

  it('allocates nothing for each packet', () => {
    const { a, b } = connection('127.0.0.1', AF_INET);
    fill(a.batch, 16, 500);
    const perCall = bytesPerCall(() => {
      a.port.sendBatch(a.batch, 0, 16);
      b.batch.count = 0;
      b.port.recvBatch(b.batch);
    }, 2000);
    expect(perCall).toBeLessThan(16);
  });

  it('says who has the port', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const { port } = holder.address() as { port: number };
    expect(() => openTcpSocket(options(AF_INET, { host: '127.0.0.1', port }), true)).toThrowError(
      /TCP socket to .*EADDRINUSE/,
    );
    await new Promise((resolve) => holder.close(resolve));
  });

  it('that is refused says so', () => {
    const listener = openTcpSocket(options(AF_INET, { host: '127.0.0.1', port: 0 }), false);
    const { localPort } = describeTcpSocket(listener, AF_INET);
    const calling = openTcpSocket(options(AF_INET, undefined), false);
    const atOnce = startConnect(calling, encodeEndpoint('127.0.0.1', localPort));
    if (atOnce === 0) ready(calling, true);
    expect(atOnce || pendingError(calling)).toBe(111);
    const ports = new TcpPorts({ sendSlots: 1, batchBytes: 1000, longestDatagram: 1000 });
    open.push(
      ports.open(listener, encodeEndpoint('127.0.0.1', 1)),
      ports.open(calling, encodeEndpoint('127.0.0.1', 1)),
    );
  });
});
