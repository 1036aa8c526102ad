/**
 * Segmentation as slowly and plainly as it can be written: parse into fields, cut the payload, build each packet from
 * nothing. And the Internet checksum with one big number.
 */

export interface TcpFields {
  readonly version: 4 | 6;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** TOS or traffic class. */
  readonly trafficClass: number;
  readonly hopLimit: number;
  readonly identification: number;
  readonly dontFragment: boolean;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly flags: number;
  readonly window: number;
  /** A multiple of 4 bytes, at most 40. */
  readonly options: Uint8Array;
  readonly payload: Uint8Array;
}

export const FLAG = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ece: 64, cwr: 128 };

export function slowSum(bytes: Uint8Array): number {
  const padded = bytes.length % 2 === 0 ? bytes : Uint8Array.from([...bytes, 0]);
  let sum = 0n;
  for (let i = 0; i < padded.length; i += 2) sum += BigInt(padded[i] * 256 + padded[i + 1]);
  while (sum > 0xffffn) sum = (sum & 0xffffn) + (sum >> 16n);
  return Number(sum);
}

const be16 = (value: number) => [(value >> 8) & 255, value & 255];
const be32 = (value: number) => [
  (value >>> 24) & 255,
  (value >>> 16) & 255,
  (value >>> 8) & 255,
  value & 255,
];

function withChecksum(bytes: number[], at: number, initial: number[]): number[] {
  const checksum =
    ~slowSum(Uint8Array.from([...initial, ...(initial.length % 2 ? [0] : []), ...bytes])) & 0xffff;
  return bytes.with(at, checksum >> 8).with(at + 1, checksum & 255);
}

export function buildTcp(f: TcpFields): Uint8Array {
  const words = 5 + f.options.length / 4;
  const header = [
    ...be16(f.sourcePort),
    ...be16(f.destinationPort),
    ...be32(f.sequence),
    ...be32(f.acknowledgement),
  ];
  const tail = [words << 4, f.flags, ...be16(f.window), 0, 0, 0, 0, ...f.options, ...f.payload];
  const tcp = [...header, ...tail];
  const addresses = [...f.source, ...f.destination];
  const pseudo =
    f.version === 4
      ? [...addresses, 0, 6, ...be16(tcp.length)]
      : [...addresses, ...be32(tcp.length), 0, 0, 0, 6];
  const sealed = withChecksum(tcp, 16, pseudo);
  return Uint8Array.from([...ipHeader(f, 6, tcp.length), ...sealed]);
}

/** A datagram with the addresses, ports and payload of `f`. */
export function buildUdp(f: TcpFields): Uint8Array {
  const length = 8 + f.payload.length;
  const udp = [...be16(f.sourcePort), ...be16(f.destinationPort), ...be16(length), 0, 0, ...f.payload];
  const addresses = [...f.source, ...f.destination];
  const pseudo =
    f.version === 4 ? [...addresses, 0, 17, ...be16(length)] : [...addresses, ...be32(length), 0, 0, 0, 17];
  const sealed = withChecksum(udp, 6, pseudo);
  const header = sealed[6] === 0 && sealed[7] === 0 ? sealed.with(6, 255).with(7, 255) : sealed;
  return Uint8Array.from([...ipHeader(f, 17, length), ...header]);
}

/** The datagrams a UDP super-packet with these fields stands for. */
export function slowDatagrams(f: TcpFields, size: number): Uint8Array[] {
  const count = Math.max(1, Math.ceil(f.payload.length / size));
  return Array.from({ length: count }, (_, i) =>
    buildUdp({
      ...f,
      identification: (f.identification + i) % 65536,
      payload: f.payload.subarray(i * size, (i + 1) * size),
    }),
  );
}

function ipHeader(f: TcpFields, protocol: number, payload: number): number[] {
  const addresses = [...f.source, ...f.destination];
  if (f.version === 6) {
    const first = [0x60 | (f.trafficClass >> 4), (f.trafficClass & 15) << 4, 0, 0];
    return [...first, ...be16(payload), protocol, f.hopLimit, ...addresses];
  }
  const flags = f.dontFragment ? 0x40 : 0;
  const fixed = [
    0x45,
    f.trafficClass,
    ...be16(20 + payload),
    ...be16(f.identification),
    flags,
    0,
    f.hopLimit,
    protocol,
    0,
    0,
  ];
  return withChecksum([...fixed, ...addresses], 10, []);
}

/** The packets a super-packet with these fields stands for. */
export function slowSegments(f: TcpFields, size: number): Uint8Array[] {
  const count = Math.max(1, Math.ceil(f.payload.length / size));
  return Array.from({ length: count }, (_, i) => {
    const last = i === count - 1;
    let { flags } = f;
    if (!last) flags &= ~(FLAG.fin | FLAG.psh);
    if (i > 0) flags &= ~FLAG.cwr;
    return buildTcp({
      ...f,
      identification: (f.identification + i) % 65536,
      sequence: (f.sequence + i * size) % 2 ** 32,
      flags,
      payload: f.payload.subarray(i * size, (i + 1) * size),
    });
  });
}
