/** Packets that NAT cannot translate, need not translate, or must take care with. */
import { fragments, icmp, ipPacket, tcp, udp, type Transport } from './ip-packets.ts';

const ESP = 50;
const GRE = 47;
const IGMP = 2;
const SCTP = 132;
const NO_PROTOCOL = 253;

/** IP options: record route with room for one address, and its end. */
const RECORD_ROUTE = Buffer.from([7, 7, 4, 0, 0, 0, 0, 0]);

export function hostilePackets(source: string, destinations: readonly string[]): Buffer[] {
  return destinations.flatMap((destination) => {
    const ends = { source, destination };
    return [...wholePackets(ends), ...fragmentedPackets(ends), ...damagedPackets(ends)];
  });
}

interface Ends {
  readonly source: string;
  readonly destination: string;
}

function wholePackets(ends: Ends): Buffer[] {
  const others = [IGMP, GRE, ESP, SCTP, NO_PROTOCOL].map((protocol) => ipPacket(ends, other(protocol)));
  const queries = [0, 3, 4, 5, 8, 9, 11, 12, 13, 14, 15, 17, 30].map((type) =>
    ipPacket(ends, icmp({ version: 4, type, rest: [7, 1], data: Buffer.alloc(36, 1) })),
  );
  // An error about a packet that this host never got.
  const quote = ipPacket({ source: ends.destination, destination: ends.source }, datagram(1)).subarray(0, 28);
  const error = ipPacket(ends, icmp({ version: 4, type: 3, code: 3, data: quote }));
  const flags = [0, 0x01, 0x02, 0x04, 0x10, 0x12, 0x29, 0x3f];
  const segments = flags.map((bits, i) =>
    ipPacket(ends, tcp({ sourcePort: 3000 + i, destinationPort: 81, flags: bits })),
  );
  return [
    ...others,
    ...queries,
    error,
    ...segments,
    ipPacket(ends, udp({ sourcePort: 3100, destinationPort: 82, noChecksum: true })),
    ipPacket(ends, udp({ sourcePort: 0, destinationPort: 0 })),
    ipPacket({ ...ends, options: RECORD_ROUTE }, datagram(8)),
    ipPacket({ ...ends, ttl: 1 }, datagram(8)),
    ipPacket({ ...ends, ttl: 2 }, datagram(8)),
  ];
}

function fragmentedPackets(ends: Ends): Buffer[] {
  const whole = fragments(ends, datagram(2000), 0x6001, 1480);
  const tiny = fragments(ends, datagram(64), 0x6002, 8);
  const segment = tcp({ sourcePort: 3200, destinationPort: 83, data: Buffer.alloc(64) });
  const [, withoutFirst] = fragments(ends, datagram(2000), 0x6003, 1480);
  const overlapping = fragments(ends, datagram(2000), 0x6004, 1480);
  return [
    ...whole.toReversed(),
    ...tiny,
    ...fragments(ends, segment, 0x6005, 16),
    withoutFirst,
    ...overlapping,
    ...overlapping,
    ...fragments(ends, other(GRE), 0x6006, 16),
    ...fragments(ends, icmp({ version: 4, type: 8, rest: [9, 1], data: Buffer.alloc(2000) }), 0x6007, 1480),
  ];
}

/** Shorter than they say, or with a checksum that is wrong. */
function damagedPackets(ends: Ends): Buffer[] {
  const wrongSum = ipPacket(ends, datagram(64));
  wrongSum[26] ^= 0x55;
  const shortUdp = ipPacket(ends, { ...datagram(64), checksum: undefined });
  shortUdp.writeUInt16BE(500, 24);
  const cut = (length: number, transport: Transport) =>
    ipPacket(ends, { ...transport, bytes: transport.bytes.subarray(0, length), checksum: undefined });
  return [
    wrongSum,
    shortUdp,
    cut(0, datagram(0)),
    cut(4, datagram(0)),
    cut(10, tcp({ sourcePort: 3300, destinationPort: 84 })),
    cut(4, icmp({ version: 4, type: 8 })),
  ];
}

function datagram(size: number): Transport {
  return udp({ sourcePort: 3400, destinationPort: 85, data: Buffer.alloc(size, 0x5a) });
}

function other(protocol: number): Transport {
  return { protocol, bytes: Buffer.alloc(64, 1), checksum: undefined };
}
