/** What goes by the raw ICMP socket: which packets, one hop less, and what becomes of those too long for the way. */
import { beforeEach, describe, expect, it } from 'vitest';
import { REFUSED, SENT, type IcmpPort } from '../../src/icmp/port.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { DropReason } from '../../src/packet/verdict.ts';
import type { SnatRule } from '../../src/nat/rule.ts';
import { Hub } from '../support/hub.ts';
import { readIcmpError, twoSites, type Sites } from '../support/hub-packets.ts';
import { fragments, icmp, ipPacket, udp } from '../support/ip-packets.ts';
import { checksumsAreRight, DEFAULTS } from '../support/nat.ts';

const MTU = 1400;

const MASQUERADE: SnatRule = {
  kind: 'snat',
  id: 0,
  text: 'nat snat 10.1.0.0/16 out eth1 masquerade',
  where: { file: 'test.conf', line: 1, column: 1 },
  match: {
    source: { bytes: parseAddress('10.1.0.0'), length: 16 },
    destination: undefined,
    protocol: undefined,
    sourcePorts: undefined,
    destinationPorts: undefined,
  },
  out: 'tun',
  egress: 'eth1',
  peer: undefined,
  to: { address: parseAddress('172.16.0.2'), ports: { first: 61000, last: 65534 }, shared: true },
};

const ENDS = { source: '10.1.0.5', destination: '172.16.0.3' };

/** A socket on a way of MTU 1400. */
class Socket implements IcmpPort {
  readonly sent: Buffer[] = [];
  refuses = false;

  recvBatch(): number {
    return 0;
  }

  send(...[batch, slot]: Parameters<IcmpPort['send']>): number {
    if (this.refuses) return REFUSED;
    const start = batch.start[slot];
    const length = batch.length[slot];
    if (length > MTU) return MTU;
    this.sent.push(Buffer.from(batch.bytes.slice(start, start + length)));
    return SENT;
  }

  close(): void {}
}

let hub: Hub;
let sites: Sites;
let socket: Socket;

beforeEach(() => {
  hub = new Hub({
    nat: {
      guards: { open: () => true, close: () => undefined, recvBatch: () => 0 },
      egressMatches: () => true,
      isLocalPortBusy: () => false,
    },
  });
  sites = twoSites(hub);
  hub.engine.setNat({ ...DEFAULTS, rules: [MASQUERADE] });
  socket = new Socket();
  hub.engine.setIcmpPort(socket);
});

function send(...packets: readonly Buffer[]): void {
  for (const packet of packets) sites.a.spoke.send(packet);
  hub.settle();
}

/** An echo request; without a fragment field it must not be cut. */
function ping(size: number, mayFragment: boolean): Buffer {
  const fragment = mayFragment ? { fragment: { offset: 0, more: false, id: 9 } } : {};
  const data = Buffer.alloc(size - 28, 0x61);
  return ipPacket({ ...ENDS, ...fragment }, icmp({ version: 4, type: 8, rest: [7, 1], data }));
}

const source = (packet: Buffer) => [...packet.subarray(12, 16)].join('.');
const offset = (packet: Buffer) => (packet.readUInt16BE(6) & 0x1fff) * 8;

describe('by the raw socket', () => {
  it('go ICMP messages and fragments with an address of this host, with a hop less', () => {
    const datagram = udp({ sourcePort: 5000, destinationPort: 7777, data: Buffer.alloc(2000) });
    send(ping(100, false), ...fragments(ENDS, datagram, 3, 1000));
    expect(socket.sent.map((packet) => [source(packet), packet[8]])).toEqual([
      ['172.16.0.2', 63],
      ['172.16.0.2', 63],
      ['172.16.0.2', 63],
    ]);
    expect(hub.delivered).toEqual([]);
  });

  it('goes nothing whose last hop is this one', () => {
    send(ipPacket({ ...ENDS, ttl: 1 }, icmp({ version: 4, type: 8, rest: [7, 1] })));
    expect(socket.sent).toEqual([]);
    expect(hub.allDrops()).toEqual([['a', DropReason.TtlExceeded, 1]]);
  });

  it('goes what is too long in fragments', () => {
    const long = ping(1500, true);
    send(long);
    expect(socket.sent.map((packet) => [offset(packet), packet.length])).toEqual([
      [0, 1396],
      [1376, 124],
    ]);
    const data = Buffer.concat(socket.sent.map((packet) => packet.subarray(20)));
    expect(data.subarray(8)).toEqual(long.subarray(28));
    expect(hub.allDrops()).toEqual([]);
  });

  it('is an error sent about what is too long and must not be cut: to the address that it would have come from', () => {
    send(ping(1500, false));
    expect(hub.allDrops()).toEqual([['-', DropReason.TooBig, 1]]);
    const [error] = socket.sent;
    expect(checksumsAreRight(error)).toBe(true);
    const { source: from, destination, type, code, mtu, quote } = readIcmpError(error);
    expect({ from, destination, type, code, mtu }).toEqual({
      from: '10.8.0.1',
      destination: '172.16.0.2',
      type: 3,
      code: 4,
      mtu: MTU,
    });
    expect(source(quote)).toBe('172.16.0.2');
  });

  it('does not go what the kernel refuses, and that is counted', () => {
    socket.refuses = true;
    send(ping(100, false));
    expect(hub.allDrops()).toEqual([['-', DropReason.SendFailed, 1]]);
  });
});
