import { describe, expect, it } from 'vitest';
import type { EngineCommand } from '../../src/engine/messages.ts';
import { isShareable, Links } from '../../src/gateway/links.ts';
import { AF_INET6 } from '../../src/transport/endpoint.ts';
import type { UdpSocketOptions } from '../../src/udp/open.ts';
import { configOf } from '../support/config.ts';
import { PLAIN_SOCKET } from '../support/sockets.ts';

const SOCKET: UdpSocketOptions = { ...PLAIN_SOCKET, localPort: 1194 };

function links() {
  const sent: string[] = [];
  const opened: UdpSocketOptions[] = [];
  const subject = new Links({
    send: (command: EngineCommand) =>
      sent.push(
        'link' in command
          ? `${command.kind} ${command.link}${'shared' in command ? ` ${command.shared}` : ''}`
          : '',
      ),
    rawSockets: () => undefined,
    openSocket: (options) => {
      opened.push(options);
      return {
        fd: 100 + opened.length,
        family: options.family,
        local: '',
        localPort: options.localPort,
        receiveBufferBytes: 0,
        sendBufferBytes: 0,
        systemBuffers: { receive: 0, send: 0 },
        offload: { segment: false, receive: false },
      };
    },
  });
  return { subject, sent, opened };
}

describe('links', () => {
  it('gives peers at one local address and port the same socket', () => {
    const { subject, sent } = links();
    expect(subject.open(0, SOCKET, true).link).toBe(0);
    expect(subject.open(1, SOCKET, true).link).toBe(0);
    expect(subject.open(2, { ...SOCKET, localPort: 1195 }, true).link).toBe(1);
    expect(subject.open(3, { ...SOCKET, localHost: '192.0.2.1' }, true).link).toBe(2);
    expect(sent).toEqual(['open-link 0 true', 'open-link 1 true', 'open-link 2 true']);
    expect([...subject.peersOf(0)]).toEqual([0, 1]);
    expect([0, 2].map((peer) => subject.isShared(peer))).toEqual([true, false]);
  });

  it('gives a peer that does not share a fresh socket after each restart', () => {
    const { subject, sent } = links();
    subject.open(0, SOCKET, false);
    subject.restarted(0);
    expect(subject.open(0, SOCKET, false).link).toBe(1);
    expect(sent).toEqual(['open-link 0 false', 'open-link 1 false']);
  });

  it('keeps a shared socket over the restart of a peer', () => {
    const { subject, sent } = links();
    subject.open(0, SOCKET, true);
    subject.open(1, SOCKET, true);
    subject.restarted(0);
    expect(subject.open(0, SOCKET, true).link).toBe(0);
    expect(sent).toEqual(['open-link 0 true']);
  });

  it('shares the socket of a peer that was alone when another comes', () => {
    const { subject, sent } = links();
    subject.open(0, SOCKET, false);
    expect(subject.open(1, SOCKET, true).link).toBe(0);
    expect(sent).toEqual(['open-link 0 false', 'share-link 0']);
    subject.restarted(0);
    expect([...subject.peersOf(0)]).toEqual([0, 1]);
  });

  it('closes a shared socket with its last peer', () => {
    const { subject, sent } = links();
    subject.open(0, SOCKET, true);
    subject.open(1, SOCKET, true);
    void subject.leave(0);
    expect(sent).toEqual(['open-link 0 true']);
    void subject.leave(1);
    expect(sent).toEqual(['open-link 0 true', 'close-link 0']);
  });

  it('opens a socket for IPv6 that leaves IPv4 alone', () => {
    const { subject, opened } = links();
    subject.open(0, { ...SOCKET, family: AF_INET6 }, true);
    expect(opened[0].ipv6Only).toBe(true);
  });
});

describe('a peer on its way to the next remote', () => {
  it.each([
    ['of another port', { localPort: 1195 }],
    ['of another address', { localHost: '192.0.2.1' }],
    ['of another family', { family: AF_INET6 }],
    ['with another `mtu-disc`', { mtuDiscovery: 'yes' }],
  ] as const)('waits until its socket is closed before it opens one %s', async (_, change) => {
    const { subject, sent } = links();
    const next = { ...SOCKET, ...change };
    subject.open(0, SOCKET, true);
    subject.restarted(0);
    let free = false;
    const vacated = subject.vacate(0, next).then(() => (free = true));
    await new Promise(setImmediate);
    expect([sent.at(-1), free]).toEqual(['close-link 0', false]);
    subject.closed(0);
    await vacated;
    expect(subject.open(0, next, true).link).toBe(1);
  });

  it('waits for nobody when others stay on the socket, or the next is the same', async () => {
    const { subject, sent } = links();
    for (const peer of [0, 1]) subject.open(peer, SOCKET, true);
    await subject.vacate(0, SOCKET);
    expect([...subject.peersOf(0)]).toEqual([0, 1]);
    await subject.vacate(0, undefined);
    expect([...subject.peersOf(0)]).toEqual([1]);
    expect(sent).toEqual(['open-link 0 true']);
  });
});

it.each([
  ['a remote and a port', ['remote 192.0.2.1', 'port 1194'], true],
  ['no remote: it may call from anywhere', ['port 1194'], false],
  ['float', ['remote 192.0.2.1', 'float'], false],
  ['nobind', ['remote 192.0.2.1', 'nobind'], false],
  ['a local port of the kernel', ['remote 192.0.2.1', 'lport 0'], false],
])('a peer with %s: shareable %s', (_row, lines, expected) => {
  const { transport } = configOf(lines);
  expect(isShareable(transport, transport.remotes.at(0))).toBe(expected);
});
