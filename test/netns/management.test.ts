/**
 * The management interface next to stock's: the same config, the same client, the same answers. TSVPN_RECORD=1 writes what stock
 * answered to test/behaviour/management-transcripts.json, which the unit tests read.
 */
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { COMPLETED, startGateway, writeKey, type Implementation } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { ManagementClient, sameShape, type Step } from '../support/management-client.ts';
import type { Daemon } from '../support/process.ts';
import { OUTER, useLink } from '../support/topology.ts';

const BOTH: readonly Implementation[] = ['openvpn', 'tsvpn'];
const TRANSCRIPTS = resolve(import.meta.dirname, '../behaviour/management-transcripts.json');

interface Transcript {
  readonly title: string;
  readonly lines: readonly string[];
  readonly commands: readonly string[];
}

const { cases } = JSON.parse(readFileSync(TRANSCRIPTS, 'utf8')) as {
  cases: (Transcript & { steps: Step[] })[];
};

const link = useLink((made) => void writeKey(made, 'static.key', staticKeyText()));
const running = new Set<Daemon>();

afterAll(async () => {
  for (const daemon of running) await daemon.stop();
});

const common = ['dev tun0', 'secret static.key', 'cipher AES-256-CBC', 'auth SHA256', 'verb 3'];

function startA(implementation: Implementation, lines: readonly string[]): Daemon {
  const own = ['ifconfig 10.4.0.1 10.4.0.2', `remote ${OUTER.b.ipv4}`, 'key-direction 0', 'ping 1'];
  const config = [...common, ...own, ...lines].join('\n');
  return track(startGateway(link, link.a, { implementation, name: 'a', config }));
}

function startB(): Daemon {
  const own = ['ifconfig 10.4.0.2 10.4.0.1', 'key-direction 1', 'ping 1', 'float'];
  const config = [...common, ...own].join('\n');
  return track(startGateway(link, link.b, { implementation: 'openvpn', name: 'b', config }));
}

function track(daemon: Daemon): Daemon {
  running.add(daemon);
  return daemon;
}

async function stop(...daemons: Daemon[]): Promise<void> {
  for (const daemon of daemons) {
    await daemon.stop();
    running.delete(daemon);
  }
}

/** A unix socket is the same in every namespace. */
function socketPath(): string {
  return join(link.folder, 'm.sock');
}

const MANAGEMENT = () => `management ${socketPath()} unix`;

async function converse(implementation: Implementation, transcript: Transcript): Promise<Step[]> {
  const held = transcript.lines.includes('management-hold');
  const a = startA(implementation, [MANAGEMENT(), ...transcript.lines]);
  const b = startB();
  try {
    if (!held) await a.waitFor(COMPLETED);
    const client = await ManagementClient.connect(socketPath());
    await client.until(held ? />HOLD:.*\r\n/ : />INFO:.*\r\n/);
    const steps: Step[] = [];
    for (const send of transcript.commands) {
      const answer = await client.ask(send);
      // Stock tells again that it waits after a signal that it ignores.
      steps.push({ send, answer: answer.filter((line) => !line.startsWith('>HOLD:')) });
    }
    client.destroy();
    return steps;
  } finally {
    await stop(a, b);
  }
}

const record: Record<string, Step[]> = {};

describe.each(cases)('$title', (transcript) => {
  it.each(BOTH)('%s answers as it was recorded', async (implementation) => {
    const commands = transcript.steps.map(({ send }) => send);
    const steps = await converse(implementation, { ...transcript, commands });
    const shape = (all: readonly Step[]) =>
      all.map(({ send, answer }) => ({ send, answer: sameShape(answer) }));
    if (implementation === 'openvpn') record[transcript.title] = shape(steps);
    if (process.env.TSVPN_RECORD === '1') return;
    expect(shape(steps)).toEqual(transcript.steps);
  });
});

afterAll(() => {
  if (process.env.TSVPN_RECORD !== '1') return;
  const renewed = cases.map((each) => ({ ...each, steps: record[each.title] ?? each.steps }));
  writeFileSync(TRANSCRIPTS, `${JSON.stringify({ producer: 'OpenVPN 2.6.14', cases: renewed }, null, 2)}\n`);
});

/** The real-time messages, by their kinds, of a client's whole day. */
interface Day {
  readonly title: string;
  readonly lines: readonly string[];
  /** What to send, after which message. */
  readonly script: readonly (readonly [after: RegExp, send: string])[];
}

const days: readonly Day[] = [
  {
    title: 'a held start, a held restart, the end',
    lines: ['management-hold', 'persist-tun'],
    script: [
      [/^>HOLD:Waiting for hold release:0/m, 'state on\r\nhold release'],
      [/CONNECTED,SUCCESS/, 'signal SIGUSR1'],
      [/^>HOLD:Waiting for hold release:1/m, 'hold release'],
      [/CONNECTED,SUCCESS/, 'hold off\nsignal SIGTERM'],
    ],
  },
  {
    title: 'remotes that are skipped, replaced and accepted',
    lines: ['management-query-remote', 'remote 192.0.2.77 1195', 'persist-tun'],
    script: [
      [/^>REMOTE:192.0.2.2,1194,udp/m, 'state on\nremote SKIP'],
      [/^>REMOTE:192.0.2.77,1195,udp/m, `remote MOD ${OUTER.b.ipv4} 1194`],
      [/CONNECTED,SUCCESS/, 'signal SIGUSR1'],
      [/^>REMOTE:192.0.2.77,1195,udp/m, 'remote SKIP'],
      [/^>REMOTE:192.0.2.2,1194,udp/m, 'remote ACCEPT'],
      [/CONNECTED,SUCCESS/, 'signal SIGTERM'],
    ],
  },
  {
    title: 'addresses of both families, routes, a local address',
    lines: [
      'management-hold',
      'ifconfig-ipv6 fd00:4::1/64 fd00:4::2',
      'route 10.99.0.0 255.255.0.0',
      `local ${OUTER.a.ipv4}`,
      'explicit-exit-notify 1',
    ],
    script: [
      [/^>HOLD:/m, 'state on\nhold release'],
      [/CONNECTED,SUCCESS/, 'state all\nsignal SIGTERM'],
    ],
  },
  {
    title: 'a TCP connection that is refused, and tried again',
    lines: ['management-hold', 'proto tcp-client', 'persist-tun'],
    script: [
      [/^>HOLD:Waiting for hold release:0/m, 'state on\nhold release'],
      [/^>HOLD:Waiting for hold release:1/m, 'remote-entry-get all\nhold release'],
      [/^>HOLD:Waiting for hold release:1/m, 'signal SIGTERM'],
    ],
  },
  {
    title: 'a remote that is called by name',
    lines: ['management-hold', 'management-query-remote', 'persist-tun'],
    script: [
      [/^>HOLD:/m, 'hold release'],
      [/^>REMOTE:/m, `state on\nremote MOD localhost 1194`],
      [/RESOLVE/, 'signal SIGTERM'],
    ],
  },
  {
    title: 'up and down',
    lines: ['management-hold', 'management-up-down', 'setenv FOO "bar baz"', 'route 10.99.0.0 255.255.0.0'],
    script: [
      [/^>HOLD:/m, 'hold release'],
      [/^>UPDOWN:UP[^]*^>UPDOWN:ENV,END/m, 'signal SIGTERM'],
    ],
  },
  {
    title: 'bytes in and out',
    lines: [],
    script: [
      [/^>INFO:/m, 'bytecount 1'],
      [/^>BYTECOUNT:\d+,\d+[^]*^>BYTECOUNT:\d+,\d+/m, 'bytecount 0\nsignal SIGTERM'],
    ],
  },
];

async function live(implementation: Implementation, { lines, script }: Day): Promise<string[]> {
  const b = startB();
  const a = startA(implementation, [MANAGEMENT(), ...lines]);
  try {
    const client = await ManagementClient.connect(socketPath());
    let all = '';
    for (const [after, send] of script) {
      all += await client.until(after);
      client.write(`${send}\n`);
    }
    await client.closed();
    all += client.received;
    return all.split('\r\n');
  } finally {
    await stop(a, b);
  }
}

/** The order of variables is nobody's business, nor how often bytes are told. */
function normal(lines: readonly string[]): string[] {
  const environment = lines.filter((line) => line.startsWith('>UPDOWN:ENV,'));
  const rest = sameShape(lines.filter((line) => !line.startsWith('>UPDOWN:ENV,')))
    // Stock names its function where it was when the signal came.
    .map((line) => line.replace('EXITING,init_instance', 'EXITING,SIGTERM'));
  const told = environment.filter(
    (line) => !/daemon_|trusted_|route_net_gateway|local_port_|ENV,dev=/.test(line),
  );
  return [...rest.filter((line, i) => line !== '>BYTECOUNT:N,N' || rest[i - 1] !== line), ...told.sort()];
}

describe.each(days)('a client sees $title', (day) => {
  it('as with stock', async () => {
    // Here the device has its addresses before a remote is asked for, there afterwards.
    const late = day.lines.includes('management-query-remote');
    const compared = async (implementation: Implementation) =>
      normal(await live(implementation, day)).filter((line) => !late || !line.includes(',ASSIGN_IP,'));
    const stock = await compared('openvpn');
    expect(await compared('tsvpn')).toEqual(stock);
  });
});

describe.each(BOTH)('%s', (implementation) => {
  it('asks for the password three times, and closes', async () => {
    writeFileSync(join(link.folder, 'pw'), 'correct horse\nnot this\n', { mode: 0o600 });
    const a = startA(implementation, [`${MANAGEMENT()} pw`]);
    try {
      const wrong = await ManagementClient.connect(socketPath());
      for (let i = 1; i <= 3; i++) {
        await wrong.prompted('ENTER PASSWORD:'.repeat(i));
        wrong.write('wrong\n');
      }
      await wrong.closed();
      expect(wrong.received).toBe('ENTER PASSWORD:'.repeat(3));
      const right = await ManagementClient.connect(socketPath());
      await right.prompted('ENTER PASSWORD:');
      right.write('wrong\r\n');
      await right.prompted('ENTER PASSWORD:ENTER PASSWORD:');
      right.write('correct horse\r\n');
      expect(await right.until(/>INFO/)).toMatch(
        /^ENTER PASSWORD:ENTER PASSWORD:SUCCESS: password is correct\r\n>INFO:OpenVPN Management Interface Version 5 /,
      );
      right.destroy();
    } finally {
      await stop(a);
    }
  });

  it('lets in one client after the other', async () => {
    const a = startA(implementation, [MANAGEMENT()]);
    try {
      const first = await ManagementClient.connect(socketPath());
      await first.until(/>INFO/);
      const second = await ManagementClient.connect(socketPath());
      expect(await first.ask('hold')).toEqual(['SUCCESS: hold=0']);
      expect(second.received).toBe('');
      first.write('exit\n');
      await first.closed();
      await second.until(/>INFO/);
      second.destroy();
    } finally {
      await stop(a);
    }
  });

  it.each([
    ['management-client-user nobody', '--reuid=65534'],
    ['management-client-group nogroup', '--regid=65534'],
  ])('lets in whom it is told to, and no other: %s', async (line, identity) => {
    const a = startA(implementation, [MANAGEMENT(), line]);
    try {
      const stranger = await ManagementClient.connect(socketPath());
      await stranger.closed();
      expect(stranger.received).toBe('');
      expect(statSync(socketPath()).mode & 0o777).toBe(0o777);
      chmodSync(link.folder, 0o755);
      const program = `require('net').connect('${socketPath()}').on('data', (d) => { console.log(String(d)); process.exit() })`;
      const friend = ['setpriv', identity, '--clear-groups', process.execPath, '-e', program];
      expect(await link.a.mustRun(friend)).toContain('>INFO:');
    } finally {
      await stop(a);
    }
  });

  it('keeps as much of the log as management-log-cache says', async () => {
    const a = startA(implementation, [MANAGEMENT(), 'management-log-cache 2']);
    try {
      await a.waitFor(/link remote/);
      const client = await ManagementClient.connect(socketPath());
      expect(await client.ask('log all')).toEqual([
        expect.stringContaining('INFO'),
        expect.stringMatching(/^\d+,/),
        expect.stringMatching(/^\d+,/),
        'END',
      ]);
      client.destroy();
    } finally {
      await stop(a);
    }
  });

  it('asks which proxy leads to the peer with management-query-proxy, and for no password', async () => {
    const idle = ['management-query-passwords', 'management-forget-disconnect'];
    const a = startA(implementation, [MANAGEMENT(), 'management-query-proxy', ...idle]);
    try {
      const client = await ManagementClient.connect(socketPath());
      expect(await client.until(/>PROXY:.*\r\n/)).toContain(`>PROXY:1,UDP,${OUTER.b.ipv4}\r\n`);
      expect(a.log).not.toContain('link remote');
      expect(await client.ask('proxy NONE')).toContain('SUCCESS: proxy command succeeded');
      await a.waitFor(/link remote/);
      expect(client.received).not.toContain('>PASSWORD');
      client.destroy();
    } finally {
      await stop(a);
    }
  });

  it('connects to its client, and ends with it', async () => {
    const { server, accepted } = listen(socketPath());
    const a = startA(implementation, [MANAGEMENT(), 'management-client']);
    try {
      const socket = await accepted;
      const text = await new Promise<string>((done) => socket.once('data', (data) => done(String(data))));
      expect(text).toContain('>INFO:OpenVPN Management Interface Version 5');
      socket.end();
      expect(await a.exited).toBe(0);
    } finally {
      server.close();
      await stop(a);
    }
  });

  it('restarts when the client goes, with management-signal', async () => {
    const a = startA(implementation, [MANAGEMENT(), 'management-signal']);
    try {
      const client = await ManagementClient.connect(socketPath());
      await a.waitFor(/link remote/);
      await client.until(/>INFO/);
      client.write('exit\n');
      await a.waitFor(/process restarting/);
    } finally {
      await stop(a);
    }
  });

  it('ends while it is held', async () => {
    const a = startA(implementation, [MANAGEMENT(), 'management-hold']);
    const client = await ManagementClient.connect(socketPath());
    client.write('state on\n');
    await client.until(/>HOLD/);
    expect(await a.stop('SIGTERM')).toBe(0);
    running.delete(a);
    await client.closed();
  });
});

function listen(path: string): { server: Server; accepted: Promise<Socket> } {
  const server = createServer();
  server.listen(path);
  return { server, accepted: new Promise((resolve) => server.once('connection', resolve)) };
}
