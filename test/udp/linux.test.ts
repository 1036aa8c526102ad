/** Real sockets over loopback: needs no root. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { OperatorError } from '../../src/errors.ts';
import { NativeArena } from '../../src/ffi/memory.ts';
import { Poller, Wakeup } from '../../src/ffi/poller.ts';
import { Batch } from '../../src/packet/batch.ts';
import { DropReason, PASS } from '../../src/packet/verdict.ts';
import {
  AF_INET,
  AF_INET6,
  copyEndpoint,
  encodeEndpoint,
  formatEndpoint,
  formatHost,
  type EndpointFamily,
} from '../../src/transport/endpoint.ts';
import { LinuxUdpPort, UdpTables } from '../../src/udp/linux.ts';
import { openUdpSocket } from '../../src/udp/open.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { PLAIN_SOCKET } from '../support/sockets.ts';

const SLOTS = 64;
const open: LinuxUdpPort[] = [];

afterEach(() => {
  for (const port of open.splice(0)) port.close();
});

function options(family: EndpointFamily, localHost: string, localPort = 0, offload = false) {
  return { ...PLAIN_SOCKET, family, localHost, localPort, receiveBufferBytes: 1 << 20, offload };
}

function socketOn(host: string, family: EndpointFamily = AF_INET, offload = false) {
  const socket = openUdpSocket(options(family, host, 0, offload));
  const shape = { slots: 2048, buffers: 64 };
  const arena = new NativeArena(Batch.arenaSize(shape) + UdpTables.arenaSize(SLOTS));
  const port = new LinuxUdpPort(socket.fd, new UdpTables(arena, SLOTS), socket.offload);
  open.push(port);
  return {
    port,
    batch: new Batch(arena, shape),
    localPort: socket.localPort,
    local: socket.local,
    offload: socket.offload,
  };
}

/** Fills `count` slots with datagrams of growing length, addressed to `endpoint`. */
function fill(batch: Batch, count: number, endpoint: Uint8Array): void {
  for (let slot = 0; slot < count; slot++) {
    batch.commit(slot, 10 + slot);
    batch.bytes.fill(slot + 1, batch.start[slot], batch.start[slot] + batch.length[slot]);
    batch.endpoint[slot] = batch.endpointOffset(slot);
    copyEndpoint(endpoint, 0, batch.bytes, batch.endpointOffset(slot));
  }
  batch.count = count;
}

describe('a UDP port', () => {
  it.each([
    ['127.0.0.1', AF_INET, '[AF_INET]127.0.0.1'],
    ['::1', AF_INET6, '[AF_INET6]::1'],
  ] as const)('carries a batch over %s, in order, with the sender known', (host, family, shown) => {
    const [a, b] = [socketOn(host, family), socketOn(host, family)];
    fill(a.batch, 50, encodeEndpoint(host, b.localPort));
    expect(a.port.sendBatch(a.batch, 0, 50)).toBe(50);
    expect(b.port.recvBatch(b.batch)).toBe(50);
    for (let slot = 0; slot < 50; slot++) {
      expect(b.batch.length[slot]).toBe(10 + slot);
      expect(b.batch.bytes[b.batch.start[slot]]).toBe(slot + 1);
      expect(formatEndpoint(b.batch.bytes, b.batch.endpoint[slot])).toBe(`${shown}:${a.localPort}`);
    }
    b.batch.count = 0;
    expect(b.port.recvBatch(b.batch)).toBe(0);
  });

  it.each([
    ['127.0.0.1', AF_INET],
    ['::1', AF_INET6],
  ] as const)('tells of a closed port at %s, and who says so', async (host, family) => {
    const [a, b] = [socketOn(host, family), socketOn(host, family)];
    b.port.close();
    open.splice(open.indexOf(b.port), 1);
    const endpoint = encodeEndpoint(host, b.localPort);
    fill(a.batch, 1, endpoint);
    a.port.sendBatch(a.batch, 0, 1);
    const errors: [number, string, string][] = [];
    await vi.waitUntil(() => {
      a.port.readErrors(({ bytes, endpoint: to, errno, reporter }) =>
        errors.push([errno, formatEndpoint(bytes, to), formatHost(bytes, reporter)]),
      );
      return errors.length > 0;
    });
    expect(errors).toEqual([[111, formatEndpoint(endpoint, 0), host]]);
  });

  it('tells why a datagram did not leave, once', () => {
    const a = socketOn('127.0.0.1');
    fill(a.batch, 3, encodeEndpoint('255.255.255.255', 9));
    expect(a.port.sendBatch(a.batch, 0, 3)).toBe(3);
    expect(a.port.hasErrors).toBe(true);
    const errors: unknown[] = [];
    for (let i = 0; i < 2; i++) a.port.readErrors(({ errno, reporter }) => errors.push([errno, reporter]));
    expect(errors).toEqual([[13, -1]]);
  });

  it('sends nothing for a slot that has a verdict', () => {
    const [a, b] = [socketOn('127.0.0.1'), socketOn('127.0.0.1')];
    fill(a.batch, 3, encodeEndpoint('127.0.0.1', b.localPort));
    a.batch.verdict[1] = DropReason.NoPeer;
    expect(a.port.sendBatch(a.batch, 0, 3)).toBe(3);
    expect(b.port.recvBatch(b.batch)).toBe(2);
    expect(Array.from(b.batch.length.subarray(0, 2))).toEqual([10, 12]);
  });

  it('gives a datagram the kernel refuses a verdict, and sends the others', () => {
    const [a, b] = [socketOn('127.0.0.1'), socketOn('127.0.0.1')];
    fill(a.batch, 4, encodeEndpoint('127.0.0.1', b.localPort));
    a.batch.length[0] = 65508;
    copyEndpoint(encodeEndpoint('255.255.255.255', 9), 0, a.batch.bytes, a.batch.endpointOffset(2));
    expect(a.port.sendBatch(a.batch, 0, 4)).toBe(4);
    expect(Array.from(a.batch.verdict.subarray(0, 4))).toEqual([
      DropReason.MessageSize,
      PASS,
      DropReason.SendFailed,
      PASS,
    ]);
    expect(b.port.recvBatch(b.batch)).toBe(2);
  });

  it('carries runs of equal datagrams as one message, and finds each again', () => {
    const [a, b] = [socketOn('127.0.0.1', AF_INET, true), socketOn('127.0.0.1', AF_INET, true)];
    expect(a.offload).toEqual({ segment: true, receive: true });
    const lengths = [...Array.from({ length: 40 }, () => 1400), 700, 100, 100, 1400, 1400, 1400, 20, 20];
    const endpoint = encodeEndpoint('127.0.0.1', b.localPort);
    fill(a.batch, lengths.length, endpoint);
    lengths.forEach((length, slot) => {
      a.batch.length[slot] = length;
      a.batch.endpoint[slot] = a.batch.endpointOffset(0);
      a.batch.bytes.fill(slot + 1, a.batch.start[slot], a.batch.start[slot] + length);
    });
    a.batch.verdict[2] = DropReason.NoPeer;
    expect(a.port.sendBatch(a.batch, 0, lengths.length)).toBe(lengths.length);
    expect(b.port.recvBatch(b.batch)).toBe(lengths.length - 1);
    const expected = lengths.flatMap((length, slot) => (slot === 2 ? [] : [[length, slot + 1]]));
    const received = expected.map((_, slot) => [
      b.batch.length[slot],
      b.batch.bytes[b.batch.start[slot] + b.batch.length[slot] - 1],
    ]);
    expect(received).toEqual(expected);
    // A run shares its buffer: the second datagram starts where the first ends.
    expect(b.batch.start[1]).toBe(b.batch.start[0] + 1400);
  });

  it('takes the largest datagram there is', () => {
    const [a, b] = [socketOn('127.0.0.1'), socketOn('127.0.0.1')];
    fill(a.batch, 1, encodeEndpoint('127.0.0.1', b.localPort));
    a.batch.length[0] = 65507;
    a.port.sendBatch(a.batch, 0, 1);
    expect(b.port.recvBatch(b.batch)).toBe(1);
    expect(b.batch.length[0]).toBe(65507);
  });

  it('allocates nothing per datagram', () => {
    const [a, b] = [socketOn('127.0.0.1'), socketOn('127.0.0.1')];
    fill(a.batch, 32, encodeEndpoint('127.0.0.1', b.localPort));
    let received = 0;
    const perRound = bytesPerCall(() => {
      a.port.sendBatch(a.batch, 0, 32);
      b.batch.count = 0;
      received += b.port.recvBatch(b.batch);
    }, 200);
    expect(received).toBeGreaterThan(10_000);
    expect(received % 32).toBe(0);
    expect(perRound / 32).toBeLessThan(3);
  });
});

describe('opening a UDP socket', () => {
  it('says what to do when the port is in use', () => {
    const { localPort } = socketOn('127.0.0.1');
    const attempt = () => openUdpSocket(options(AF_INET, '127.0.0.1', localPort));
    expect(attempt).toThrow(OperatorError);
    expect(attempt).toThrow(`cannot bind the UDP socket to [AF_INET]127.0.0.1:${localPort}: EADDRINUSE`);
  });

  it('says which line is wrong when the address is not ours', () => {
    try {
      openUdpSocket(options(AF_INET, '192.0.2.77', 0));
      expect.unreachable();
    } catch (error) {
      expect((error as OperatorError).fix).toContain('`local`');
    }
  });
});

describe('the poller', () => {
  it('sleeps until a descriptor is ready or another thread wakes it', () => {
    const poller = new Poller();
    const wakeup = new Wakeup();
    const { port, batch, localPort } = socketOn('127.0.0.1');
    poller.add(wakeup.fd, 7, { readable: true, writable: false });
    poller.add(port.fd, 9, { readable: true, writable: false });
    expect(poller.wait(0)).toBe(0);
    new Wakeup(wakeup.fd).signal();
    expect([poller.wait(1000), poller.key(0)]).toEqual([1, 7]);
    wakeup.drain();
    expect(poller.wait(0)).toBe(0);
    fill(batch, 1, encodeEndpoint('127.0.0.1', localPort));
    port.sendBatch(batch, 0, 1);
    expect([poller.wait(1000), poller.key(0)]).toEqual([1, 9]);
    poller.modify(port.fd, 9, { readable: false, writable: true });
    expect([poller.wait(1000), poller.key(0)]).toEqual([1, 9]);
    wakeup.close();
    poller.close();
  });
});
