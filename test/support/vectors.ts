/** The captured sessions of stock OpenVPN in test/vectors. */
import { readdirSync, readFileSync } from 'node:fs';

export interface VectorDatagram {
  iv?: string;
  packet_id?: number;
  time?: number;
  /** Missing in TCP sessions, where nothing stands between the id and the inner packet. */
  plaintext_after_packet_id_hex?: string;
  kind: string;
  inner_hex?: string;
  occ_text?: string;
  /** What a compressed inner packet was compressed from; inner_hex is the same then. */
  decompressed_hex?: string;
}

export interface VectorSession {
  name: string;
  cipher: string;
  auth: string;
  config_a: string;
  config_b: string;
  key_file: string;
  sender_key_direction: 0 | 1 | null;
  /** What was sent, in order; without the length prefix in TCP sessions. */
  datagrams_hex: string[];
  /** What each datagram holds. */
  decoded: VectorDatagram[];
}

const folder = new URL('../vectors/', import.meta.url);

export const sessions: readonly VectorSession[] = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .map((file) => JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as VectorSession);

/** What follows the packet id in a datagram: framing and payload. */
export function payloadHex(datagram: VectorDatagram): string {
  return datagram.plaintext_after_packet_id_hex ?? datagram.inner_hex ?? '';
}

/** Packet id (absent with no-replay) and payload: the plaintext of a datagram. */
export function plaintextHex(datagram: VectorDatagram): string {
  const { packet_id: id, time } = datagram;
  const word = (value: number): string => value.toString(16).padStart(8, '0');
  return id === undefined ? payloadHex(datagram) : word(id) + word(time!) + payloadHex(datagram);
}
