/** What each directive does to the real socket, asked of the kernel by getsockopt. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import * as c from '../../src/ffi/constants.ts';
import { check, close, getsockopt } from '../../src/ffi/libc.ts';
import { AF_INET, AF_INET6 } from '../../src/transport/endpoint.ts';
import { openUdpSocket, type UdpSocketOptions } from '../../src/udp/open.ts';
import { PLAIN_SOCKET } from '../support/sockets.ts';

const open: number[] = [];
const isRoot = process.getuid?.() === 0;

afterEach(() => {
  for (const fd of open.splice(0)) close(fd);
});

function socketWith(options: Partial<UdpSocketOptions>) {
  const socket = openUdpSocket({ ...PLAIN_SOCKET, ...options });
  open.push(socket.fd);
  return socket;
}

function option(fd: number, level: number, name: number): number {
  const value = new Int32Array(1);
  const size = new Uint8Array(Int32Array.of(4).buffer);
  check('getsockopt', getsockopt(fd, level, name, new Uint8Array(value.buffer), size));
  return value[0];
}

describe('mtu-disc', () => {
  it.each([
    ['yes', c.IP_PMTUDISC_DO],
    ['maybe', c.IP_PMTUDISC_WANT],
    ['no', c.IP_PMTUDISC_DONT],
  ] as const)('%s, on sockets of both families', (mtuDiscovery, mode) => {
    expect(option(socketWith({ mtuDiscovery }).fd, c.IPPROTO_IP, c.IP_MTU_DISCOVER)).toBe(mode);
    const ipv6 = socketWith({ mtuDiscovery, family: AF_INET6 });
    expect(option(ipv6.fd, c.IPPROTO_IPV6, c.IPV6_MTU_DISCOVER)).toBe(mode);
  });
});

describe('bind ipv6only', () => {
  it.each([true, false])('sets IPV6_V6ONLY to %s', (ipv6Only) => {
    const { fd } = socketWith({ family: AF_INET6, ipv6Only });
    expect(option(fd, c.IPPROTO_IPV6, c.IPV6_V6ONLY)).toBe(ipv6Only ? 1 : 0);
  });

  it('leaves the port to an IPv4 socket', () => {
    const { localPort } = socketWith({ family: AF_INET6, ipv6Only: true });
    expect(socketWith({ family: AF_INET, localPort }).localPort).toBe(localPort);
  });
});

describe('multihome and passtos', () => {
  it.each([true, false])('ask the kernel to tell addresses and TOS: %s', (on) => {
    const wanted = on ? 1 : 0;
    const { fd } = socketWith({ multihome: on, trafficClass: on });
    expect(option(fd, c.IPPROTO_IP, c.IP_PKTINFO)).toBe(wanted);
    expect(option(fd, c.IPPROTO_IP, c.IP_RECVTOS)).toBe(wanted);
    const ipv6 = socketWith({ multihome: on, trafficClass: on, family: AF_INET6 });
    expect(option(ipv6.fd, c.IPPROTO_IPV6, c.IPV6_RECVPKTINFO)).toBe(wanted);
    expect(option(ipv6.fd, c.IPPROTO_IPV6, c.IPV6_RECVTCLASS)).toBe(wanted);
  });
});

describe('rcvbuf and sndbuf', () => {
  it('set both buffers, which the kernel doubles, and tell what they were', () => {
    const system = socketWith({}).systemBuffers;
    const socket = socketWith({ receiveBufferBytes: 100_000, sendBufferBytes: 50_000 });
    expect(socket).toMatchObject({ receiveBufferBytes: 200_000, sendBufferBytes: 100_000 });
    expect(option(socket.fd, c.SOL_SOCKET, c.SO_RCVBUF)).toBe(200_000);
    expect(option(socket.fd, c.SOL_SOCKET, c.SO_SNDBUF)).toBe(100_000);
    expect(socket.systemBuffers).toEqual(system);
    expect(system.receive).toBeGreaterThan(0);
  });

  it.runIf(isRoot)('go beyond the limits of the system with the privilege to (skipped: not root)', () => {
    const limit = Number(readFileSync('/proc/sys/net/core/rmem_max', 'utf8'));
    const socket = socketWith({ receiveBufferBytes: 2 * limit, sendBufferBytes: 2 * limit });
    expect(socket.receiveBufferBytes).toBe(4 * limit);
    expect(socket.sendBufferBytes).toBe(4 * limit);
  });
});

describe('mark and bind-dev', () => {
  it.runIf(isRoot)('mark sets SO_MARK, all 32 bits (skipped: not root)', () => {
    expect(option(socketWith({ mark: 0xdeadbeef }).fd, c.SOL_SOCKET, c.SO_MARK) >>> 0).toBe(0xdeadbeef);
  });

  it('bind-dev sets SO_BINDTODEVICE', () => {
    const { fd } = socketWith({ bindDevice: 'lo' });
    const name = new Uint8Array(16);
    const size = new Uint8Array(Int32Array.of(16).buffer);
    check('getsockopt', getsockopt(fd, c.SOL_SOCKET, c.SO_BINDTODEVICE, name, size));
    expect(Buffer.from(name).toString('latin1').replace(/\0.*/, '')).toBe('lo');
  });
});
