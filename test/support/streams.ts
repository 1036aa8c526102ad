/** A Pair whose ends talk over an in-memory connection in place of the wire. */
import { HeapArena } from '../../src/packet/arena.ts';
import { memoryConnection, type ConnectionLimits } from '../../src/tcp/memory.ts';
import { longestDatagram, Pieces, TcpMemory, TcpPort } from '../../src/tcp/port.ts';
import type { ByteStream } from '../../src/tcp/byte-stream.ts';
import { DATAGRAM_SLOTS } from '../../src/engine/engine.ts';
import { ADDRESS_A, ADDRESS_B, Pair, type PairOptions, type Side } from './pair.ts';
import { wayTo } from './way.ts';

const QUEUE_SIZE = 2 * 1024 * 1024;
const LINK = 77;

export interface StreamPair {
  readonly pair: Pair;
  readonly a: TcpPort;
  readonly b: TcpPort;
  /** The ends below the ports. */
  readonly streams: readonly [ByteStream, ByteStream];
}

export function tcpPort(stream: ByteStream, remote: Uint8Array): TcpPort {
  return new TcpPort({
    stream,
    remote,
    memory: new TcpMemory(new HeapArena(QUEUE_SIZE), QUEUE_SIZE),
    pieces: new Pieces(DATAGRAM_SLOTS),
    longestDatagram: longestDatagram(1500),
  });
}

export function connectStream(side: Side, port: TcpPort, remote: Uint8Array, link = LINK): void {
  side.engine.peering.openLink(link, port, false);
  side.engine.peering.connect(0, link, wayTo([remote]));
}

export function streamPair(options: PairOptions = {}, limits: ConnectionLimits = {}): StreamPair {
  const pair = new Pair(options);
  const streams = memoryConnection(limits);
  const [a, b] = [tcpPort(streams[0], ADDRESS_B), tcpPort(streams[1], ADDRESS_A)];
  connectStream(pair.a, a, ADDRESS_B);
  connectStream(pair.b, b, ADDRESS_A);
  return { pair, a, b, streams };
}
