/** epoll over a handful of descriptors, and an eventfd by which another thread wakes the waiter. */
import {
  EFD_CLOEXEC,
  EFD_NONBLOCK,
  EPOLLERR,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  O_CLOEXEC,
} from './constants.ts';
import { EPOLL_EVENT } from './layout.ts';
import { check, close, epollCreate1, epollCtl, epollWait, eventfd, read, write } from './libc.ts';
import { NativeArena } from './memory.ts';

const MAX_EVENTS = 16;

export interface Interest {
  readonly readable: boolean;
  readonly writable: boolean;
}

/** Level-triggered; one waiter. Keys are small numbers chosen by the caller, returned when the descriptor is ready. */
export class Poller {
  private readonly epfd: number;
  private readonly arena = new NativeArena(MAX_EVENTS * EPOLL_EVENT.size);
  private readonly view = new DataView(this.arena.bytes.buffer);
  private ready = 0;

  constructor() {
    this.epfd = check('epoll_create1', epollCreate1(O_CLOEXEC));
  }

  add(fd: number, key: number, interest: Interest): void {
    check('epoll_ctl(ADD)', epollCtl(this.epfd, EPOLL_CTL_ADD, fd, event(key, interest)));
  }

  modify(fd: number, key: number, interest: Interest): void {
    check('epoll_ctl(MOD)', epollCtl(this.epfd, EPOLL_CTL_MOD, fd, event(key, interest)));
  }

  /**
   * Adds a descriptor that may have been closed meanwhile, or be none that can be waited for, which is ignored. It is
   * returned once.
   */
  tryOnce(fd: number, key: number, writable: boolean): void {
    epollCtl(this.epfd, EPOLL_CTL_ADD, fd, event(key, { readable: !writable, writable }, EPOLLONESHOT));
  }

  /** The same for taking it out. */
  tryRemove(fd: number): void {
    epollCtl(this.epfd, EPOLL_CTL_DEL, fd, event(0, { readable: false, writable: false }));
  }

  remove(fd: number): void {
    check(
      'epoll_ctl(DEL)',
      epollCtl(this.epfd, EPOLL_CTL_DEL, fd, event(0, { readable: false, writable: false })),
    );
  }

  /**
   * Blocks until a descriptor is ready or `timeoutMs` is over (-1: for ever); returns how many are ready. An
   * interruption by a signal counts as none.
   */
  wait(timeoutMs: number): number {
    this.ready = Math.max(0, epollWait(this.epfd, this.arena.address, MAX_EVENTS, timeoutMs));
    return this.ready;
  }

  /** Key of the `index`-th ready descriptor of the last wait. */
  key(index: number): number {
    return this.view.getUint32(index * EPOLL_EVENT.size + EPOLL_EVENT.data, true);
  }

  /** Whether that descriptor reports an error (EPOLLERR), which is always watched for. */
  failed(index: number): boolean {
    const events = this.view.getUint32(index * EPOLL_EVENT.size + EPOLL_EVENT.events, true);
    return (events & EPOLLERR) !== 0;
  }

  close(): void {
    close(this.epfd);
  }
}

function event(key: number, interest: Interest, flags = 0): Uint8Array {
  const bytes = new Uint8Array(EPOLL_EVENT.size);
  const view = new DataView(bytes.buffer);
  view.setUint32(
    EPOLL_EVENT.events,
    (interest.readable ? EPOLLIN : 0) | (interest.writable ? EPOLLOUT : 0) | flags,
    true,
  );
  view.setUint32(EPOLL_EVENT.data, key, true);
  return bytes;
}

/** A counter another thread can add to in order to wake the poller. */
export class Wakeup {
  readonly fd: number;
  private readonly word = new NativeArena(8);

  /** Opens a new eventfd, or shares one opened by another thread. */
  constructor(fd?: number) {
    this.fd = fd ?? check('eventfd', eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  }

  signal(): void {
    this.word.bytes[0] = 1;
    write(this.fd, this.word.address, 8);
  }

  /** Resets the counter, so that the poller sleeps again. */
  drain(): void {
    read(this.fd, this.word.address, 8);
  }

  close(): void {
    close(this.fd);
  }
}
