import { describe, expect, it } from 'vitest';
import { DROPS } from '../../src/control/drops.ts';
import { diagnoseSilence } from '../../src/control/silence.ts';
import type { PeerStatus } from '../../src/control/status.ts';

function status(udpRead: number, drops: Record<string, number>): PeerStatus {
  const none = { packets: 0, bytes: 0 };
  const traffic = {
    tunRead: none,
    tunWrite: none,
    udpRead: { packets: udpRead, bytes: 0 },
    udpWrite: { packets: 3, bytes: 0 },
  };
  return { local: '0.0.0.0:1194', drops, traffic, unreachable: null } as unknown as PeerStatus;
}

describe('the diagnosis of a silent peer', () => {
  it('says that nothing arrived', () => {
    const { why, fix } = diagnoseSilence(status(0, { 'no-peer': 4 }));
    expect(why).toBe('nothing at all arrived at 0.0.0.0:1194, though 3 datagrams were sent');
    expect(fix).toContain('firewall');
    expect(fix).toContain('`proto udp` like this end');
  });

  it('says that the name of the remote did not resolve', () => {
    const { why, fix } = diagnoseSilence({ ...status(0, {}), local: null });
    expect(why).toContain('not been resolved');
    expect(fix).toContain('name service');
  });

  it('says that nothing could be sent', () => {
    const sending = { ...status(0, { 'send-failed': 9 }), remote: '192.0.2.9:1194' };
    const { why, fix } = diagnoseSilence(sending);
    expect(why).toContain('9 datagrams could not be sent');
    expect(fix).toContain('ip route get 192.0.2.9`');
  });

  it.each([
    ['ECONNREFUSED', 1, 'nothing listens at 192.0.2.9:1194: its host answers that the port is closed (once)'],
    ['EHOSTUNREACH', 7, '192.0.2.9:1194 cannot be reached: EHOSTUNREACH (7 times); the log says who says so'],
  ])('says what the network answers in the place of the peer: %s', (error, times, why) => {
    const unreachable = { error, times };
    expect(diagnoseSilence({ ...status(0, {}), remote: '192.0.2.9:1194', unreachable }).why).toBe(why);
    const gone = { endpoint: '192.0.2.9:1194', remote: null, lastPacketAgeMs: 60_000, unreachable };
    expect(diagnoseSilence({ ...status(99, { auth: 1 }), ...gone }).why).toBe(why);
  });

  it.each([
    ['tcp-server', { local: '0.0.0.0:1194', remote: null }, 0, 'nobody has called yet at 0.0.0.0:1194'],
    ['tcp-client', { local: null, remote: '192.0.2.9:1194' }, 0, 'no TCP connection with 192.0.2.9:1194'],
    ['tcp-client', { local: '192.0.2.1:9', remote: '192.0.2.9:1194' }, 2, 'nothing came over it'],
    ['tcp-client', { local: null, remote: null }, 0, 'not been resolved'],
  ] as const)('tells what a %s waits for: %j', (protocol, addresses, sent, text) => {
    const { traffic, ...rest } = status(0, {});
    const udpWrite = { packets: sent, bytes: 0 };
    const peer = { ...rest, ...addresses, protocol, traffic: { ...traffic, udpWrite } };
    expect(diagnoseSilence(peer).why).toContain(text);
  });

  it.each([
    ['inner-version', '`fragment`'],
    ['auth', 'key-direction 0'],
    ['decrypt', 'same `cipher` line'],
    ['bad-length', '`cipher` and `auth`'],
    ['short', '`cipher` and `auth`'],
    ['source', '`remote`'],
    ['framing', '`comp-lzo`'],
    ['compressed', '`comp-lzo`'],
    ['fragment-header', 'same `fragment` line'],
    ['peer-fragments', 'same `fragment` line'],
    ['time-backtrack', 'clock'],
  ])('names the commonest reason, %s, and the lines to write', (reason, line) => {
    expect(DROPS.map(({ name }) => name)).toContain(reason);
    const { why, fix } = diagnoseSilence(
      status(9, { empty: 1, [reason]: 8, 'no-peer': 99, 'send-failed': 99 }),
    );
    expect(why).toContain(`9 datagrams arrived and were dropped: ${reason} (`);
    expect(fix).toContain(line);
  });
});
