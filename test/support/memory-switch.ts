/** An in-memory network of UDP ports with addresses: what one sends arrives at the port it is addressed to. */
import type { Batch } from '../../src/packet/batch.ts';
import { PASS } from '../../src/packet/verdict.ts';
import { copyEndpoint, encodeEndpoint, formatEndpoint } from '../../src/transport/endpoint.ts';
import type { TransportPort } from '../../src/transport/port.ts';

interface Datagram {
  readonly bytes: Uint8Array;
  readonly source: Uint8Array;
}

export class SwitchPort implements TransportPort {
  readonly address: Uint8Array;
  readonly inbox: Datagram[] = [];
  /** Datagrams the simulated socket buffer still takes. */
  room = Infinity;
  closed = false;
  private readonly network: MemorySwitch;

  constructor(network: MemorySwitch, address: Uint8Array) {
    this.network = network;
    this.address = address;
  }

  recvBatch(batch: Batch): number {
    const first = batch.count;
    while (batch.count < batch.buffers) {
      const datagram = this.inbox.shift();
      if (datagram === undefined) break;
      const slot = batch.count++;
      batch.bytes.set(datagram.bytes, batch.packetOffset(slot));
      batch.commit(slot, datagram.bytes.length);
      copyEndpoint(datagram.source, 0, batch.bytes, batch.endpointOffset(slot));
      batch.endpoint[slot] = batch.endpointOffset(slot);
    }
    return batch.count - first;
  }

  sendBatch(batch: Batch, first: number, end: number): number {
    if (this.closed) throw new Error('a closed port was used');
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] !== PASS) continue;
      if (this.room <= 0) return slot;
      this.room--;
      const start = batch.start[slot];
      this.network.deliver(batch.bytes.slice(start, start + batch.length[slot]), {
        from: this.address,
        to: formatEndpoint(batch.bytes, batch.endpoint[slot]),
      });
    }
    return end;
  }

  close(): void {
    if (this.closed) throw new Error('a port was closed twice');
    this.closed = true;
  }
}

export class MemorySwitch {
  /** Datagrams to an address nobody has. */
  lost = 0;
  private readonly ports = new Map<string, SwitchPort>();

  /** A port at the address, in place of the one that had it. */
  open(host: string, port: number): SwitchPort {
    const address = encodeEndpoint(host, port);
    const opened = new SwitchPort(this, address);
    this.ports.set(formatEndpoint(address, 0), opened);
    return opened;
  }

  deliver(bytes: Uint8Array, { from, to }: { readonly from: Uint8Array; readonly to: string }): void {
    const port = this.ports.get(to);
    if (port === undefined || port.closed) this.lost++;
    else port.inbox.push({ bytes, source: from });
  }
}
