import { describe, expect, it } from 'vitest';
import { flowHash } from '../../src/packet/flow-hash.ts';
import { icmp, ipPacket, tcp, udp } from '../support/ip-packets.ts';

const hash = (bytes: Uint8Array, seed = 1) => flowHash(bytes, 0, bytes.length, seed);
const datagram = (sourcePort: number, destinationPort = 53, data = Buffer.alloc(40)) =>
  udp({ sourcePort, destinationPort, data });
const IPV4 = { source: '10.1.0.1', destination: '10.2.0.1' };
const IPV6 = { source: 'fd00::1', destination: 'fd00::2' };
const fragment = (offset: number, more: boolean) => ({ ...IPV4, fragment: { offset, more, id: 7 } });

describe('the hash of a flow', () => {
  it.each<[rule: string, a: Uint8Array, b: Uint8Array, same: boolean]>([
    [
      'is one for all its packets, whatever is in them',
      ipPacket(IPV4, datagram(1000)),
      ipPacket({ ...IPV4, ttl: 3 }, datagram(1000, 53, Buffer.alloc(9, 1))),
      true,
    ],
    ['differs by port', ipPacket(IPV4, datagram(1000)), ipPacket(IPV4, datagram(1001)), false],
    ['differs by port in IPv6', ipPacket(IPV6, datagram(1000)), ipPacket(IPV6, datagram(1001)), false],
    [
      'differs by protocol',
      ipPacket(IPV4, datagram(1000)),
      ipPacket(IPV4, tcp({ sourcePort: 1000, destinationPort: 53 })),
      false,
    ],
    [
      'differs by address',
      ipPacket(IPV4, datagram(1000)),
      ipPacket({ ...IPV4, destination: '10.2.0.2' }, datagram(1000)),
      false,
    ],
    [
      'is one for all fragments of a packet, the first with its ports included',
      ipPacket(fragment(0, true), datagram(1000)),
      ipPacket(fragment(48, false), { ...datagram(1000), bytes: Buffer.alloc(20, 9) }),
      true,
    ],
    [
      'does not look at what follows other protocols',
      ipPacket(IPV4, icmp({ version: 4, type: 8, rest: [7, 1] })),
      ipPacket(IPV4, icmp({ version: 4, type: 8, rest: [7, 2] })),
      true,
    ],
  ])('%s', (_rule, a, b, same) => expect(hash(a) === hash(b)).toBe(same));

  it('is another with another seed', () => {
    expect(hash(ipPacket(IPV4, datagram(1000)), 1)).not.toBe(hash(ipPacket(IPV4, datagram(1000)), 2));
  });

  it('reads nothing behind a packet too short for ports', () => {
    const whole = ipPacket(IPV4, datagram(1000));
    const other = ipPacket(IPV4, datagram(1001));
    expect(flowHash(whole, 0, 22, 1)).toBe(flowHash(other, 0, 22, 1));
  });
});
