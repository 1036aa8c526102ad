import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatIpv4 } from '../../src/packet/address.ts';
import { icmp, ipPacket, tcp, udp, type Transport } from '../support/ip-packets.ts';
import { address, checksumsAreRight, NatLab, PEER_A, range, snat, ZONE_TUN } from '../support/nat.ts';

const port = fc.integer({ min: 1, max: 65535 });
const data = fc.uint8Array({ maxLength: 60 });
const transport: fc.Arbitrary<Transport> = fc.oneof(
  fc.record({ sourcePort: port, destinationPort: port, data, flags: fc.constantFrom(2, 16, 24) }).map(tcp),
  fc.record({ sourcePort: port, destinationPort: port, data, noChecksum: fc.boolean() }).map(udp),
  fc
    .record({ rest: fc.tuple(port, port), data })
    .map(({ rest, data }) => icmp({ version: 4, type: 8, rest, data })),
);
const shape = fc.record({
  source: fc.integer({ min: 1, max: 254 }).map((host) => `10.8.0.${host}`),
  destination: fc.nat(0xffff).map((host) => formatIpv4(0xac110000 + host)),
  options: fc.constantFrom(Buffer.alloc(0), Buffer.from([1, 1, 1, 0])),
  ttl: fc.integer({ min: 1, max: 255 }),
});

/** The answer that says the same: both ends swapped, an echo request made a reply. Checksums stay right. */
function answerTo(packet: Buffer): Buffer {
  const answer = Buffer.from(packet);
  packet.copy(answer, 12, 16, 20);
  packet.copy(answer, 16, 12, 16);
  const at = (packet[0] & 15) * 4;
  if (packet[9] === 1) {
    answer[at] = 0;
    const sum = 0xffff - packet.readUInt16BE(at + 2) + 0xffff - 0x0800;
    answer.writeUInt16BE(0xffff - ((sum & 0xffff) + (sum >>> 16)), at + 2);
    return answer;
  }
  packet.copy(answer, at, at + 2, at + 4);
  packet.copy(answer, at + 2, at, at + 2);
  return answer;
}

/** All but the source address, what stands for its port, and checksums. */
function unmapped(packet: Buffer): Buffer {
  const rest = Buffer.from(packet);
  const at = (packet[0] & 15) * 4;
  rest.fill(0, 10, 16);
  const [portAt, checksumAt] = packet[9] === 1 ? [4, 2] : packet[9] === 6 ? [0, 16] : [0, 6];
  rest.fill(0, at + portAt, at + portAt + 2);
  rest.fill(0, at + checksumAt, at + checksumAt + 2);
  return rest;
}

test.each([
  ['an alias', address('172.16.0.9')],
  ['the range', range('172.16.0.2')],
])('out and back through %s is the identity, and out changes nothing but the mapped fields', (_, to) => {
  const lab = new NatLab([snat({ from: '10.8.0.0/24' }, to)], {
    settings: { maxSessions: 65536, perHost: 65536 },
  });
  fc.assert(
    fc.property(shape, transport, (ip, payload) => {
      lab.nat.flush();
      lab.advance(121);
      const packet = ipPacket(ip, payload);
      const out = lab.send(packet, PEER_A, ZONE_TUN);
      expect(out.reason).toBe('pass');
      expect(unmapped(out.packet)).toEqual(unmapped(packet));
      expect(checksumsAreRight(out.packet)).toBe(true);
      const back = lab.send(answerTo(out.packet), ZONE_TUN, PEER_A);
      expect(back.packet.toString('hex')).toBe(answerTo(packet).toString('hex'));
    }),
    { numRuns: 500 },
  );
});
