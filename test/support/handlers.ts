/** What a tunnel answers on its control socket in tests: samples where there are some, a named error where not. */
import type { Handlers } from '../../src/control/server.ts';
import { SAMPLE_STATUS } from './status.ts';

function unexpected(): never {
  throw new Error('not expected in this test');
}

export const SAMPLE_HANDLERS: Handlers = {
  status: () => SAMPLE_STATUS,
  stop: () => ({ pid: 1 }),
  restart: () => ({ pid: 1 }),
  reload: unexpected,
  'route-list': unexpected,
  'route-get': unexpected,
  'route-add': unexpected,
  'route-del': unexpected,
  trace: unexpected,
  'nat-list': unexpected,
  'nat-rules': unexpected,
  'nat-flush': unexpected,
  mtu: unexpected,
};
