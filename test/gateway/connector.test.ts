import { createSocket } from 'node:dgram';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { PeerConfig } from '../../src/config/model.ts';
import { NOBODY, type RemoteAnswer, type RemoteEntry, type StateChange } from '../../src/control/overseer.ts';
import type { OperatorError } from '../../src/errors.ts';
import { close } from '../../src/ffi/libc.ts';
import { Connector, type Connection, type ConnectorOptions } from '../../src/gateway/connector.ts';
import { openSocket } from '../../src/gateway/open-socket.ts';
import type { Resolver } from '../../src/gateway/resolver.ts';
import { Watcher } from '../../src/gateway/watcher.ts';
import { withNumericZone } from '../../src/gateway/zone.ts';
import { configOf } from '../support/config.ts';
import { testLog } from '../support/log.ts';

const openLink: ConnectorOptions['openLink'] = (options) => ({ link: 0, socket: openSocket(options) });

const vacate = () => Promise.resolve();

const openCandidate = () => undefined;

const openStream: ConnectorOptions['openStream'] = ({ socket }) => ({ link: 0, socket });
const watcher = new Watcher(() => undefined);

const noNames: Resolver = (host) => Promise.resolve([host]);

function connector(
  lines: readonly string[],
  resolver: Resolver,
  overseer: ConnectorOptions['overseer'] = NOBODY,
) {
  const base = configOf(['remote peer.example', 'nobind', ...lines]);
  const config: PeerConfig = { ...base, transport: { ...base.transport, connectRetrySec: 0 } };
  const happened: string[] = [];
  let failed: (error: OperatorError) => void = () => undefined;
  const failure = new Promise<OperatorError>((resolve) => (failed = resolve));
  const targets: string[] = [];
  const states: string[] = [];
  const events = {
    connect({ socket, remote }: Connection) {
      close(socket.fd);
      happened.push('connect');
      targets.push(`${remote?.addresses[0]}:${remote?.remote.port}`);
    },
    trying: () => Promise.resolve(),
    failed: () => undefined,
    state: ({ name }: StateChange) => void states.push(name),
    fail: (error: OperatorError) => failed(error),
  };
  const log = testLog();
  const subject = new Connector({
    config,
    offload: false,
    log,
    events,
    overseer,
    vacate,
    openLink,
    openStream,
    openCandidate,
    watcher,
    resolver,
  });
  return { connector: subject, happened, targets, states, failure };
}

describe('a name that does not resolve', () => {
  const never: Resolver = () => Promise.reject(new Error('EAI_AGAIN'));

  it('is tried again until it does, without end by default', async () => {
    let calls = 0;
    const late: Resolver = () => (++calls < 4 ? never('', 'any') : Promise.resolve(['127.0.0.1']));
    const { connector: subject, happened } = connector([], late);
    await subject.connect();
    while (happened.length === 0) await new Promise(setImmediate);
    expect(calls).toBe(4);
  });

  it('fails the start with `resolv-retry 0`', async () => {
    const { connector: subject } = connector(['resolv-retry 0'], never);
    await expect(subject.connect()).rejects.toMatchObject({ code: 'RESOLVE_FAILED', exitCode: 1 });
  });

  it('fails the tunnel when it did before, with `resolv-retry 0`', async () => {
    let calls = 0;
    const once: Resolver = () => (++calls === 1 ? Promise.resolve(['127.0.0.1']) : never('', 'any'));
    const { connector: subject, happened, failure } = connector(['resolv-retry 0'], once);
    await subject.connect();
    expect(happened).toEqual(['connect']);
    await subject.reconnect();
    expect(await failure).toMatchObject({ code: 'RESOLVE_FAILED' });
  });

  it('makes way for the next remote with `resolv-retry n`, as in stock', async () => {
    const second: Resolver = (host) =>
      host === 'peer.example' ? never(host, 'any') : Promise.resolve(['127.0.0.2']);
    const lines = ['resolv-retry 4', 'remote other.example'];
    const { connector: subject, happened, failure } = connector(lines, second);
    await subject.connect();
    await Promise.race([failure, vi.waitUntil(() => happened.length > 0)]);
    expect(happened).toEqual(['connect']);
  });

  it('ends the tunnel after `connect-retry-max` rounds', async () => {
    const { connector: subject, failure } = connector(['connect-retry-max 2'], never);
    await subject.connect();
    expect(await failure).toMatchObject({ code: 'CONNECT_RETRY_MAX', exitCode: 1 });
  });
});

it('an interface that is not there is an operator error', async () => {
  const { connector: subject } = connector(['bind-dev nosuch0'], () => Promise.resolve(['127.0.0.1']));
  await expect(subject.connect()).rejects.toMatchObject({
    code: 'UDP_SOCKET',
    exitCode: 1,
    why: 'there is no interface nosuch0',
  });
});

it('a port in use is an operator error that names the process', async () => {
  const holder = createSocket('udp4');
  await new Promise<void>((resolve) => holder.bind(0, resolve));
  onTestFinished(() => void holder.close());
  const { port } = holder.address();
  const base = configOf(['remote 127.0.0.1']);
  const config: PeerConfig = { ...base, transport: { ...base.transport, localPort: port } };
  const events = {
    connect: () => undefined,
    trying: () => Promise.resolve(),
    failed: () => undefined,
    state: () => undefined,
    fail: () => undefined,
  };
  const log = testLog();
  const shared = { overseer: NOBODY, vacate, openLink, openStream, openCandidate, watcher };
  const subject = new Connector({ config, offload: false, log, events, ...shared });
  await expect(subject.connect()).rejects.toMatchObject({
    code: 'UDP_PORT_IN_USE',
    exitCode: 5,
    why: expect.stringMatching(new RegExp(`^process ${process.pid} \\(.+\\) has that UDP port$`)) as string,
  });
});

it('a look-up that hangs does not keep a tunnel from ending', async () => {
  const { connector: subject, happened } = connector([], () => new Promise(() => undefined));
  const connecting = subject.connect();
  subject.close();
  await connecting;
  expect(happened).toEqual([]);
});

describe('the way to the peer', () => {
  const THREE = ['remote 127.0.0.2 2', 'remote 127.0.0.3 3'];

  async function targetsOf(...lines: readonly string[]): Promise<string[]> {
    const resolver: Resolver = (host) => Promise.resolve([host === 'peer.example' ? '127.0.0.1' : host]);
    const { connector: subject, targets } = connector(lines, resolver);
    await subject.connect();
    for (let i = 0; i < 2; i++) await subject.reconnect();
    return targets;
  }

  it('is that of the lines, or with `remote-random` any, chosen at the start', async () => {
    expect(await targetsOf(...THREE)).toEqual(['127.0.0.1:1194', '127.0.0.2:2', '127.0.0.3:3']);
    const dice = vi.spyOn(Math, 'random');
    onTestFinished(() => dice.mockRestore());
    dice.mockReturnValue(0);
    expect(await targetsOf('remote-random', ...THREE)).toEqual([
      '127.0.0.2:2',
      '127.0.0.3:3',
      '127.0.0.1:1194',
    ]);
    expect(dice).toHaveBeenCalledTimes(2);
  });

  it('leads over no other protocol than that of `proto-force`', async () => {
    const lines = ['remote 127.0.0.2 2 tcp-client', 'remote 127.0.0.3 3 udp', 'proto-force udp'];
    expect(await targetsOf(...lines)).toEqual(['127.0.0.1:1194', '127.0.0.3:3', '127.0.0.1:1194']);
  });

  it.each([
    ['looks the name up at each restart', [], ['peer.example', 'peer.example']],
    ['never again with `persist-remote-ip`', ['persist-remote-ip'], ['peer.example']],
    ['only once with `preresolve`', ['preresolve'], ['peer.example']],
    [
      'each time by a name of its own with `remote-random-hostname`',
      ['remote-random-hostname'],
      [expect.stringMatching(/^[0-9a-f]{12}\.peer\.example$/), expect.stringMatching(/^.{12}\.peer\./)],
    ],
  ])('%s', async (_, lines, expected) => {
    const asked: string[] = [];
    const resolver: Resolver = (host) => (asked.push(host), Promise.resolve(['127.0.0.1']));
    const { connector: subject, targets } = connector(lines, resolver);
    await subject.connect();
    await subject.reconnect();
    expect(targets).toEqual(['127.0.0.1:1194', '127.0.0.1:1194']);
    expect(asked).toEqual(expected);
    expect(new Set(asked).size === asked.length).toBe(lines.length > 0);
  });
});

describe('who oversees', () => {
  it('passes over remotes, names another one, and takes the place of pauses', async () => {
    const asked: string[] = [];
    const answers: RemoteAnswer[] = ['skip', 'accept', { host: '127.0.0.9', port: 9 }];
    const overseer = {
      hold: (pauseSec: number) => (asked.push(`hold ${pauseSec}`), Promise.resolve(true)),
      choose: ({ host, port, proto }: RemoteEntry) => {
        asked.push(`${host} ${port} ${proto}`);
        return Promise.resolve(answers.shift() ?? 'accept');
      },
    };
    const { connector: subject, targets } = connector(
      ['remote 127.0.0.2 7', 'connect-retry 3'],
      noNames,
      overseer,
    );
    await subject.connect();
    await subject.reconnect();
    expect(asked).toEqual(['peer.example 1194 udp', '127.0.0.2 7 udp', 'hold 0', 'peer.example 1194 udp']);
    expect(targets).toEqual(['127.0.0.2:7', '127.0.0.9:9']);
  });

  it('is told of names that are looked up, and of no addresses', async () => {
    const overseer = { ...NOBODY, choose: () => Promise.resolve({ host: '127.0.0.3', port: 3 }) };
    const found: Resolver = () => Promise.resolve(['127.0.0.1']);
    const named = connector([], found);
    const addressed = connector([], found, overseer);
    await Promise.all([named.connector.connect(), addressed.connector.connect()]);
    expect([named.states, addressed.states]).toEqual([['RESOLVE'], []]);
  });
});

describe('the zone of a link-local address', () => {
  it('becomes the index of the interface it names', () => {
    expect(withNumericZone('fe80::1%lo', 'remote')).toBe('fe80::1%1');
  });

  it.each(['fe80::1%7', 'fe80::1', '192.0.2.1'])('%s stays as it is', (address) => {
    expect(withNumericZone(address, 'remote')).toBe(address);
  });

  it('of an interface that is not there is an error that names it', () => {
    expect(() => withNumericZone('fe80::1%nosuch0', 'local')).toThrow(
      expect.objectContaining({
        code: 'ZONE_UNKNOWN',
        what: expect.stringContaining('nosuch0') as string,
      }) as Error,
    );
  });
});

describe('the name behind `local`', () => {
  const resolver: Resolver = (host) =>
    host === 'here.example' ? Promise.resolve(['127.0.0.7']) : Promise.reject(new Error('ENOTFOUND'));

  function listener(line: string) {
    const log = testLog();
    const opened: string[] = [];
    const events = {
      connect({ socket }: Connection) {
        opened.push(socket.local);
        close(socket.fd);
      },
      fail: () => undefined,
      resolving: () => undefined,
      state: () => undefined,
      trying: () => Promise.resolve(),
      failed: () => undefined,
    };
    const config = configOf([line, 'lport 0']);
    return {
      opened,
      subject: new Connector({
        config,
        offload: false,
        log,
        events,
        vacate,
        openLink,
        openStream,
        openCandidate,
        watcher,
        overseer: NOBODY,
        resolver,
      }),
    };
  }

  it('is looked up, and its address bound', async () => {
    const { opened, subject } = listener('local here.example');
    await subject.connect();
    expect(opened).toEqual([expect.stringMatching(/^\[AF_INET\]127\.0\.0\.7:\d+$/)]);
  });

  it('is an operator error when it does not resolve', async () => {
    const { subject } = listener('local nowhere.example');
    await expect(subject.connect()).rejects.toMatchObject({ code: 'LOCAL_UNRESOLVED', exitCode: 1 });
  });
});
