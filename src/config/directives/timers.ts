import { int, optional } from '../arguments.ts';
import { set } from '../draft.ts';
import { supported } from './spec.ts';
import type { Section } from './spec.ts';

/** OpenVPN 2.7.6 caps ping times at one day; older versions take more, which nobody means. */
const DAY = 86400;
const seconds = int('SECONDS', 0, DAY);

export const TIMERS: Section = {
  title: 'Keeping the tunnel alive',
  directives: [
    supported(
      'keepalive',
      [int('INTERVAL', 1, DAY, 'seconds'), int('TIMEOUT', 1, DAY, 'seconds')],
      'Send a ping after INTERVAL seconds of silence, restart when nothing came for TIMEOUT: ping and ping-restart in one.',
      (draft, [intervalSec, timeoutSec], line) => set(draft, 'keepalive', { intervalSec, timeoutSec }, line),
      { preset: 'off', difference: 'None for two peers: the doubling of TIMEOUT is for servers.' },
    ),
    supported(
      'ping',
      [seconds],
      'Send a ping when nothing was sent for so long; 0 turns it off.',
      (draft, [sec], line) => set(draft, 'ping', sec, line),
      { preset: '0', difference: 'At most a day, as in OpenVPN 2.7.' },
    ),
    supported(
      'ping-restart',
      [seconds],
      'Restart the tunnel when nothing was received for so long.',
      (draft, [sec], line) => set(draft, 'pingTimeout', { sec, action: 'restart' }, line),
      {
        preset: '0',
        difference:
          'At most a day, as in OpenVPN 2.7. A waiting end without `remote` keeps its socket and its replay window.',
      },
    ),
    supported(
      'ping-exit',
      [seconds],
      'Exit when nothing was received for so long.',
      (draft, [sec], line) => set(draft, 'pingTimeout', { sec, action: 'exit' }, line),
      { preset: '0', difference: 'At most a day, as in OpenVPN 2.7.' },
    ),
    supported(
      'ping-timer-rem',
      [],
      'Run ping-restart and ping-exit only while the peer is known.',
      (draft, _, line) => set(draft, 'pingTimerNeedsRemote', true, line),
    ),
    supported(
      'explicit-exit-notify',
      [optional(int('MESSAGES', 0, 60))],
      'Tell the peer when this end exits, so that it need not wait for a timeout.',
      (draft, [messages = 1], line) => set(draft, 'exitNotify', messages, line),
      {
        preset: 'off; 1 without argument',
        difference:
          'A receiver here restarts once for several messages. No effect with TCP, as in OpenVPN 2.6; 2.5 refuses it there.',
      },
    ),
    supported(
      'inactive',
      [int('SECONDS', 0, 0x7fffffff), optional(int('BYTES', 0, Number.MAX_SAFE_INTEGER))],
      'Exit when fewer than BYTES went through the tunnel in so long; pings do not count.',
      (draft, [sec, bytes = 0], line) => set(draft, 'inactive', { seconds: sec, bytes }, line),
      { preset: 'off' },
    ),
    supported(
      'session-timeout',
      [int('SECONDS', 0, 0x7fffffff)],
      'Exit after so long, whatever happens.',
      (draft, [sec], line) => set(draft, 'sessionTimeoutSec', sec, line),
      { preset: 'off' },
    ),
  ],
};
