/** From shared counters to what `status` shows of them. */
import { dropCounts } from '../control/drops.ts';
import type { Drops, Traffic, TrafficCount } from '../control/status.ts';
import { Counter, type Counters } from '../engine/counters.ts';

type Doors = Pick<Traffic, 'tunRead' | 'tunWrite'>;

function sum(blocks: readonly Counters[], packets: Counter, bytes: Counter): TrafficCount {
  const total = (counter: Counter) => blocks.reduce((all, block) => all + block.get(counter), 0);
  return { packets: total(packets), bytes: total(bytes) };
}

function doors(block: Counters): Doors {
  return {
    tunRead: sum([block], Counter.TunReadPackets, Counter.TunReadBytes),
    tunWrite: sum([block], Counter.TunWritePackets, Counter.TunWriteBytes),
  };
}

function wire(blocks: readonly Counters[], framed: boolean): Omit<Traffic, keyof Doors> {
  return {
    udpRead: sum(blocks, Counter.UdpReadPackets, Counter.UdpReadBytes),
    udpWrite: sum(blocks, Counter.UdpWritePackets, Counter.UdpWriteBytes),
    authReadBytes: blocks.reduce((all, block) => all + block.get(Counter.AuthReadBytes), 0),
    compression: framed ? compression(blocks) : null,
  };
}

/** Like stock's, these count only what was compressed, which nothing sent ever is. */
function compression(blocks: readonly Counters[]): Traffic['compression'] {
  const total = (counter: Counter) => blocks.reduce((all, block) => all + block.get(counter), 0);
  return {
    preCompress: 0,
    postCompress: 0,
    preDecompress: total(Counter.PreDecompressBytes),
    postDecompress: total(Counter.PostDecompressBytes),
  };
}

/** `framed`: compression framing is configured. */
export function peerTraffic(counters: Counters, framed: boolean): Traffic {
  return { ...doors(counters), ...wire([counters], framed) };
}

/** Of the whole tunnel: the device's packets, and everybody's datagrams. */
export function tunnelTraffic(device: Counters, peers: readonly Counters[], framed: boolean): Traffic {
  return { ...doors(device), ...wire([device, ...peers], framed) };
}

export function drops(...blocks: readonly Counters[]): Drops {
  return dropCounts((reason) => blocks.reduce((all, block) => all + block.drops(reason), 0));
}
