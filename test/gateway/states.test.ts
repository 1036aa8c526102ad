import { describe, expect, it } from 'vitest';
import { addingRoutes, assigning, connected, exiting, reconnecting } from '../../src/gateway/states.ts';
import { signalName } from '../../src/gateway/ending.ts';
import { configOf, gatewayOf } from '../support/config.ts';

describe('states in the words of OpenVPN', () => {
  it.each([
    ['addresses', [], { name: 'ASSIGN_IP', ipv4: '10.254.0.1', ipv6: undefined }],
    [
      'addresses of both families',
      ['ifconfig-ipv6 fd00::1/64 fd00::2'],
      { name: 'ASSIGN_IP', ipv4: '10.254.0.1', ipv6: 'fd00::1' },
    ],
    ['addresses that others see to', ['ifconfig-noexec'], undefined],
  ])('%s are assigned', (_row, lines, change) => {
    expect(assigning(gatewayOf(lines))).toEqual(change);
  });

  it.each<[string, string[], boolean]>([
    ['no route', [], false],
    ['a route into the tunnel', ['route 10.99.0.0 255.255.0.0'], true],
    ['a route elsewhere', ['route 10.99.0.0 255.255.0.0 192.0.2.1'], true],
    ['a route by a name', ['route 10.99.0.0 255.255.0.0 net_gateway'], true],
    ['a peer-route', ['peer-route 10.99.0.0/16'], true],
    ['a redirected gateway', ['redirect-gateway def1'], true],
    ['routes that others see to', ['route 10.99.0.0 255.255.0.0', 'route-noexec'], false],
  ])('%s: routes are added, or not', (_row, lines, told) => {
    expect(addingRoutes(gatewayOf(lines))).toEqual(told ? { name: 'ADD_ROUTES' } : undefined);
  });

  it('the peer is at its endpoint, and we are at our address only if `local` names it', () => {
    const gateway = gatewayOf([]);
    const remote = { address: '2001:db8::2', port: 1195 };
    const plain = connected(gateway, configOf([]).transport, '[AF_INET6]2001:db8::2:1195');
    expect(plain).toMatchObject({ name: 'CONNECTED', detail: 'SUCCESS', remote, local: undefined });
    const local = connected(
      gateway,
      configOf(['local 192.0.2.1', 'lport 7']).transport,
      '[AF_INET6]2001:db8::2:1195',
    );
    expect(local.local).toEqual({ address: '192.0.2.1', port: 7 });
  });

  it.each([
    ['sigusr1', 'SIGUSR1'],
    ['ping-restart', 'ping-restart'],
  ] as const)('a restart for %s is called %s', (reason, detail) => {
    expect(reconnecting(reason)).toEqual({ name: 'RECONNECTING', detail });
  });

  it.each([
    ['sigterm', false, 'SIGTERM', 'sigterm'],
    ['control', false, 'SIGTERM', 'sigterm'],
    ['sigint', false, 'SIGINT', 'sigint'],
    ['ping-exit', false, 'ping-exit', 'ping-exit'],
    ['cannot open, and so on', false, 'error', 'error'],
    ['sigterm', true, 'exit-with-notification', 'exit-with-notification'],
    ['ping-exit', true, 'ping-exit', 'ping-exit'],
  ])(
    'an end for %s, peers being told: %s, is called %s, and %s for scripts',
    (reason, notifies, detail, signal) => {
      const state = exiting(reason, notifies);
      expect(state).toEqual({ name: 'EXITING', detail });
      expect(signalName(state)).toBe(signal);
    },
  );
});
