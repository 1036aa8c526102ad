/** Every command, asked of stock once (test/behaviour/management-transcripts.json), is answered in the same shape. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/management/commands.ts';
import { openManagement } from '../support/management.ts';
import { sameShape, type Step } from '../support/management-client.ts';

const file = new URL('../behaviour/management-transcripts.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: { title: string; steps: Step[] }[] };
const [runs, held] = cases;

async function shapes(steps: readonly Step[], ask: (send: string) => Promise<string[]>): Promise<Step[]> {
  const answers: Step[] = [];
  for (const { send } of steps) answers.push({ send, answer: sameShape(await ask(send)) });
  return answers;
}

describe('as stock', () => {
  it('answers every command in a tunnel that runs', async () => {
    const { management, client } = await openManagement();
    management.state({ name: 'ASSIGN_IP', ipv4: '10.4.0.1' });
    const remote = { address: '192.0.2.2', port: 1194 };
    management.state({ name: 'CONNECTED', detail: 'SUCCESS', ipv4: '10.4.0.1', remote });
    management.logged({
      timeMs: 1_800_000_000_000,
      level: 'info',
      text: 'Initialization Sequence Completed',
    });
    const asking = await client();
    expect(await shapes(runs.steps, (send) => asking.ask(send))).toEqual(runs.steps);
  });

  it('answers every command while it is held', async () => {
    const bench = await openManagement({ hold: true, echoes: ['hello there x y', 'foo'] });
    bench.fake.started = false;
    void bench.management.holdStart(new AbortController().signal);
    bench.management.logged({ timeMs: 1_800_000_000_000, level: 'warn', text: 'something' });
    const asking = await bench.client();
    await asking.until(/^>HOLD:Waiting for hold release:0\r\n/);
    expect(await shapes(held.steps, (send) => asking.ask(send))).toEqual(held.steps);
  });

  it('knows no command that the transcripts leave out', () => {
    const asked = new Set(runs.steps.map(({ send }) => send.trim().split(' ')[0]));
    const missing = COMMANDS.map(({ name }) => name).filter((name) => !asked.has(name));
    expect(missing.sort()).toEqual(['exit', 'needstr', 'quit']);
  });
});

it.each([
  ['SIGUSR1', 'SIGUSR1'],
  ['SIGHUP', 'SIGHUP'],
  ['SIGTERM', 'SIGTERM'],
  ['SIGUSR2', 'SIGUSR2'],
])('signal %s raises it', async (name, raised) => {
  const { client, fake } = await openManagement();
  await (await client()).ask(`signal ${name}`);
  expect(fake.raised).toEqual([raised]);
});

it('verb and mute change what is logged', async () => {
  const { client, fake } = await openManagement();
  const asking = await client();
  expect(await asking.ask('verb 5')).toEqual(['SUCCESS: verb level changed']);
  expect(await asking.ask('mute 7')).toEqual(['SUCCESS: mute level changed']);
  expect([fake.level, fake.mute.limit]).toEqual([5, 7]);
});

it.each(['exit', 'quit', 'exit now'])(
  '%s ends the session, and what was sent behind it is not obeyed',
  async (word) => {
    const { client, fake } = await openManagement();
    const asking = await client();
    asking.write(`${word}\nsignal SIGTERM\n`);
    await asking.closed();
    expect(fake.raised).toEqual([]);
  },
);

it('a remote that is counted beyond the end is nobody', async () => {
  const { client } = await openManagement();
  expect(await (await client()).ask('remote-entry-get -5 1')).toEqual([
    '0,192.0.2.2,1194,udp,enabled',
    'END',
  ]);
});
