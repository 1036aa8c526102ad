/** What waits for a client: holds, and questions about remotes. */
import { expect, it } from 'vitest';
import type { RemoteEntry } from '../../src/control/overseer.ts';
import { openManagement } from '../support/management.ts';

const never = () => new AbortController().signal;
const remote: RemoteEntry = { host: 'vpn.example', port: 1194, proto: 'udp' };

it('a hold takes the place of the pause, unless it is switched off meanwhile', async () => {
  const { client, management } = await openManagement({ hold: true });
  const asking = await client();
  const first = management.hold(5, never());
  await asking.until(/>HOLD:Waiting for hold release:5/);
  await asking.ask('hold release');
  expect(await first).toBe(true);
  const second = management.hold(1, never());
  await asking.ask('hold off');
  await asking.ask('hold release');
  expect(await second).toBe(false);
  expect(await management.hold(1, never())).toBe(false);
});

it('a release frees all peers that wait, and none that come later', async () => {
  const { client, management } = await openManagement({ hold: true });
  const asking = await client();
  const held = [management.hold(1, never()), management.hold(2, never())];
  await asking.ask('hold release');
  expect(await Promise.all(held)).toEqual([true, true]);
  const later = management.hold(3, never());
  expect((await asking.ask('hold')).at(-1)).toBe('SUCCESS: hold=1');
  await asking.ask('hold release');
  await later;
});

it('a hold ends with who waits', async () => {
  const { client, management } = await openManagement({ hold: true });
  const ended = new AbortController();
  const waiting = management.hold(1, ended.signal);
  ended.abort();
  await waiting;
  const asking = await client();
  expect(await asking.ask('signal SIGUSR1')).toEqual(['SUCCESS: signal SIGUSR1 thrown']);
});

it.each([
  ['remote ACCEPT', 'accept'],
  ['remote SKIP', 'skip'],
  ['remote MOD 192.0.2.9 443', { host: '192.0.2.9', port: 443 }],
])('%s answers the question', async (command, answer) => {
  const { client, management } = await openManagement({ queryRemote: true });
  const asking = await client();
  const choice = management.choose(remote, never());
  await asking.until(/>REMOTE:vpn.example,1194,udp/);
  expect(await asking.ask(command)).toEqual(['SUCCESS: remote command succeeded']);
  expect(await choice).toEqual(answer);
});

it.each([
  'remote MOD',
  'remote MOD host',
  'remote MOD host 0',
  'remote MOD host 65536',
  'remote accept',
  'remote toString',
])('%s answers nothing, and the question stays', async (command) => {
  const { client, management } = await openManagement({ queryRemote: true });
  const asking = await client();
  const choice = management.choose(remote, never());
  expect((await asking.ask(command)).at(-1)).toBe('ERROR: remote command failed');
  await asking.ask('remote SKIP');
  expect(await choice).toBe('skip');
});

it('questions come one at a time, and the next client is asked the open one', async () => {
  const { client, management } = await openManagement({ queryRemote: true });
  const first = management.choose(remote, never());
  const second = management.choose({ ...remote, host: 'other.example' }, never());
  const early = await client();
  await early.until(/>REMOTE:vpn.example/);
  early.write('exit\n');
  await early.closed();
  expect(early.received).toBe('');
  const late = await client();
  await late.until(/>REMOTE:vpn.example/);
  expect(await late.ask('remote ACCEPT')).toEqual(['SUCCESS: remote command succeeded']);
  await late.until(/>REMOTE:other.example,1194,udp/);
  await late.ask('remote SKIP');
  expect(await Promise.all([first, second])).toEqual(['accept', 'skip']);
});

it('a question is taken back when who asks has ended', async () => {
  const { client, management } = await openManagement({ queryRemote: true });
  const ended = new AbortController();
  const first = management.choose(remote, ended.signal);
  void management.choose({ ...remote, host: 'other.example' }, never());
  const asking = await client();
  await asking.until(/>REMOTE:vpn.example/);
  ended.abort();
  await asking.until(/>REMOTE:other.example/);
  expect(await first).toBe('accept');
});

it('a proxy is asked for, and only none leads on', async () => {
  const { client, management } = await openManagement({ queryProxy: true });
  const asking = await client();
  const choice = management.choose(remote, never());
  await asking.until(/>PROXY:1,UDP,vpn.example/);
  expect(await asking.ask('proxy HTTP 192.0.2.5 8080')).toEqual(['ERROR: proxy command failed']);
  await asking.ask('proxy NONE');
  expect(await choice).toBe('accept');
});
