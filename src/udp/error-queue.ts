/** The error queue of a UDP socket (IP_RECVERR, ip(7)): what routers, other hosts and the kernel say of datagrams we sent. */
import { EMSGSIZE, MSG_DONTWAIT, MSG_ERRQUEUE } from '../ffi/constants.ts';
import { recvmmsg } from '../ffi/libc.ts';
import type { Arena } from '../packet/arena.ts';
import { ENDPOINT_SIZE } from '../packet/batch.ts';
import type { SendError } from '../transport/port.ts';
import { MessageTable } from './message-table.ts';

/** The beginning of the datagram at fault, which is not looked at. */
const QUOTE_SIZE = 64;

export class ErrorQueue {
  private readonly arena: Arena;
  private readonly table: MessageTable;
  /** Where the datagram went. */
  private readonly endpoint: number;
  private readonly quote: number;

  constructor(arena: Arena) {
    this.arena = arena;
    this.table = new MessageTable(arena, 1, 1);
    this.endpoint = arena.take(ENDPOINT_SIZE);
    this.quote = arena.take(QUOTE_SIZE);
  }

  static arenaSize(): number {
    return MessageTable.arenaSize(1, 1) + ENDPOINT_SIZE + QUOTE_SIZE + 2 * 64;
  }

  /** Empties the queue: as long as something is in it, epoll reports an error. */
  drain(fd: number, report: (error: SendError) => void): void {
    const { table, endpoint } = this;
    const { bytes } = this.arena;
    for (;;) {
      table.setVector(0, this.quote, QUOTE_SIZE);
      table.setMessage(0, endpoint, ENDPOINT_SIZE, 0, 1);
      table.acceptControl(0);
      if (recvmmsg(fd, table.address, 1, MSG_DONTWAIT | MSG_ERRQUEUE, 0) !== 1) return;
      table.readControl(0, endpoint);
      const { error: errno, pathMtu, reporter } = table;
      if (errno !== 0 && (errno !== EMSGSIZE || pathMtu > 0))
        report({ bytes, endpoint, errno, pathMtu, reporter });
    }
  }
}
