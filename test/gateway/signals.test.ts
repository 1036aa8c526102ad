import { setImmediate as soon } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Logger } from '../../src/control/log.ts';
import type { Gateway } from '../../src/gateway/gateway.ts';
import { SignalDesk, type SignalName } from '../../src/gateway/signals.ts';

function desk({ attached = true, pausing = false } = {}) {
  const done: string[] = [];
  const log = { info: (text: string) => done.push(`log ${text}`) } as unknown as Logger;
  const gateway = {
    isPausing: pausing,
    stop: (reason: string) => Promise.resolve(void done.push(`stop ${reason}`)),
    restart: (reason: string) => void done.push(`restart ${reason}`),
    reload: () => Promise.resolve(void done.push('reload')),
    status: () => ({ traffic: {} }),
  } as unknown as Gateway;
  const signals = new SignalDesk(log);
  if (attached) signals.attach(gateway);
  return { signals, gateway, done, actions: () => done.filter((line) => !line.startsWith('log ')) };
}

test.each<[string, SignalName[], string[]]>([
  ['SIGTERM goes before SIGUSR1', ['SIGUSR1', 'SIGTERM'], ['stop sigterm']],
  ['SIGINT goes before SIGTERM', ['SIGTERM', 'SIGINT'], ['stop sigint']],
  ['SIGHUP goes before SIGUSR1', ['SIGHUP', 'SIGUSR1'], ['reload']],
  ['the same signal twice is once', ['SIGUSR1', 'SIGUSR1'], ['restart sigusr1']],
])('of signals that come together one is obeyed: %s', async (_row, together, expected) => {
  const { signals, actions } = desk();
  for (const signal of together) signals.raise(signal);
  await soon();
  expect(actions()).toEqual(expected);
});

test('signals that come one after the other are all obeyed, up to the end', async () => {
  const { signals, actions } = desk();
  for (const signal of ['SIGUSR1', 'SIGHUP', 'SIGTERM', 'SIGUSR1', 'SIGHUP', 'SIGTERM'] as const) {
    signals.raise(signal);
    await soon();
  }
  expect(actions()).toEqual(['restart sigusr1', 'reload', 'stop sigterm']);
});

test.each(['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const)('%s is ignored during the start', async (signal) => {
  const { signals, gateway, done } = desk({ attached: false });
  signals.raise(signal);
  await soon();
  signals.attach(gateway);
  expect(done).toEqual([`log ${signal} ignored during the start`]);
});

test('SIGTERM during the start ends the tunnel as soon as there is one', async () => {
  const { signals, gateway, actions } = desk({ attached: false });
  signals.raise('SIGTERM');
  await soon();
  expect(actions()).toEqual([]);
  signals.attach(gateway);
  expect(actions()).toEqual(['stop sigterm']);
});

test.each([
  ['of the process is ignored', 'process', []],
  ['of the management is SIGHUP', 'management', ['reload']],
] as const)('while a restart pauses, SIGUSR1 %s', async (_row, from, expected) => {
  const { signals, actions } = desk({ pausing: true });
  signals.raise('SIGUSR1', from);
  await soon();
  expect(actions()).toEqual(expected);
});
