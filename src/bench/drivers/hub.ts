/** Starts tsvpn with many peers, each with a socket and a key of its own; one of them is there. */
import { OUTER } from '../testbed.ts';
import type { Daemons, Place } from '../tunnel.ts';
import { DEFAULT_SHAPE, KEY_FILE, startConfig, startEnd, writeKey, type StaticKeyEnd } from './static-key.ts';

const TSVPN: StaticKeyEnd = { implementation: 'tsvpn' };
const SHAPE = DEFAULT_SHAPE;
/** Far from the ports of other tunnels. */
const FIRST_PORT = 21_000;

/** End b has `peers` peers, and end a is the first of them. */
export async function startHub(
  place: Place,
  peers: number,
  tsvpnCommand: readonly string[],
): Promise<Daemons> {
  for (let peer = 0; peer < peers; peer++) writeKey(place.testbed, keyFile(peer));
  const lines = [
    `dev ${place.device}`,
    'dev-type tun',
    'topology subnet',
    `ifconfig ${place.address.b} 255.255.255.0`,
    `cipher ${SHAPE.cipher}`,
    `auth ${SHAPE.auth}`,
    'verb 3',
    ...Array.from({ length: peers }, (_, peer) => peerLines(place, peer)).flat(),
  ];
  const b = await startConfig(place, 'b', TSVPN, lines, tsvpnCommand);
  const a = await startEnd(place, 'a', TSVPN, SHAPE, tsvpnCommand);
  return { a, b };
}

/** The first has the port that end a sends to; the others are addresses where nobody is. */
function peerLines({ port, number, address }: Place, peer: number): string[] {
  const first = peer === 0;
  return [
    '<peer>',
    `name peer${peer}`,
    `lport ${first ? port : FIRST_PORT + peer}`,
    `remote ${first ? OUTER.a : `192.0.2.${100 + peer}`} ${first ? port : FIRST_PORT}`,
    `secret ${keyFile(peer)}`,
    `peer-address ${first ? address.a : `10.90.${number}.${100 + peer}`}`,
    '</peer>',
  ];
}

/** End a has the key that serves all ends of that kind. */
function keyFile(peer: number): string {
  return peer === 0 ? KEY_FILE : `peer${peer}.key`;
}
