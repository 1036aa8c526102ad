import { describe, expect, test } from 'vitest';
import { renderRules, renderSessions, type NatRules, type NatSession } from '../../src/control/nat.ts';
import { renderRouteGet, renderRoutes, type ListedRoute } from '../../src/control/routes.ts';
import { renderTrace } from '../../src/control/trace.ts';

const config: ListedRoute['source'] = {
  kind: 'config',
  where: { file: 'gw.conf', line: 12, column: 1 },
  directive: 'peer-route',
};
const toB: ListedRoute = { prefix: '10.1.0.0/16', kind: 'peer', peer: 'siteB', metric: 10, source: config };

const NONE = { packets: 0, bytes: 0 };

describe('routes in the words of ip-route(8)', () => {
  const list = renderRoutes({
    schema: 'tsvpn.routes/1',
    pointToPoint: null,
    routes: [
      { ...toB, peer: 'siteA', metric: 0, state: 'down', traffic: NONE },
      { ...toB, state: 'active', traffic: { packets: 28, bytes: 2355 } },
      { ...toB, metric: 20, source: { kind: 'learned', protocol: 'bird' }, state: 'standby', traffic: NONE },
      { ...toB, metric: 30, weight: 2, state: 'active', traffic: { packets: 1, bytes: 84 } },
      {
        ...toB,
        kind: 'blackhole',
        peer: null,
        metric: 0,
        source: { kind: 'operator' },
        state: 'active',
        traffic: NONE,
      },
      {
        ...toB,
        prefix: '10.8.0.1/32',
        kind: 'own',
        peer: null,
        metric: 0,
        source: { kind: 'kernel' },
        state: 'active',
        traffic: null,
      },
    ],
  });

  test.each([
    ['metric 0 is not shown', '10.1.0.0/16 peer siteA from gw.conf:12 down'],
    [
      'a backup that is in use',
      '10.1.0.0/16 peer siteB metric 10 from gw.conf:12 active, 28 packets, 2.30 KiB',
    ],
    ['a learned one that waits', '10.1.0.0/16 peer siteB metric 20 from bird standby'],
    [
      'one that shares its prefix',
      '10.1.0.0/16 peer siteB metric 30 weight 2 from gw.conf:12 active, 1 packet, 84 B',
    ],
    ['a refusal of the operator', '10.1.0.0/16 blackhole from operator'],
    ['an address of this host', '10.8.0.1/32 own from kernel'],
  ])('%s', (_row, line) => expect(list.split('\n')).toContain(line));

  test('say when the device is a link to one peer', () => {
    expect(renderRoutes({ schema: 'tsvpn.routes/1', routes: [], pointToPoint: 'siteB' })).toBe(
      '# point-to-point: peer siteB gets every packet of the device',
    );
  });

  test('an address whose flows are shared goes to one peer or the other', () => {
    const shared = { ...toB, weight: 1 };
    const text = renderRouteGet({
      schema: 'tsvpn.route/1',
      address: '10.1.2.3',
      decision: { ...shared, peer: 'siteA' },
      why: 'they share',
      candidates: [
        { ...shared, peer: 'siteA', standing: 'shares' },
        { ...shared, standing: 'shares' },
      ],
      pointToPoint: null,
    });
    expect(text).toMatch(/^10\.1\.2\.3 → peer siteA or peer siteB \(gw\.conf:12 /);
    expect(text).toMatch(/ peer siteB metric 10 weight 1 from gw\.conf:12 shares$/);
  });

  test('the decision about one address is followed by what else contains it', () => {
    const text = renderRouteGet({
      schema: 'tsvpn.route/1',
      address: '10.1.2.3',
      decision: toB,
      why: 'peers of lower metric are down',
      candidates: [
        { ...toB, peer: 'siteA', metric: 0, standing: 'down' },
        { ...toB, standing: 'decides' },
      ],
      pointToPoint: null,
    });
    expect(text.split('\n')).toEqual([
      '10.1.2.3 → peer siteB (gw.conf:12 peer-route 10.1.0.0/16)',
      '  peers of lower metric are down',
      '  10.1.0.0/16 peer siteA from gw.conf:12 down',
      '  10.1.0.0/16 peer siteB metric 10 from gw.conf:12 decides',
    ]);
  });

  test('nobody takes an address without a route', () => {
    const none = { decision: null, why: 'no prefix contains 192.0.2.1', candidates: [], pointToPoint: null };
    expect(renderRouteGet({ schema: 'tsvpn.route/1', address: '192.0.2.1', ...none })).toBe(
      '192.0.2.1 → nobody\n  no prefix contains 192.0.2.1',
    );
  });
});

describe('a trace', () => {
  const packet = 'ICMP 10.0.0.1 > 10.1.0.5, 28 bytes, from the device';

  test('has a line for each stage, and an arrow to where the packet goes', () => {
    const steps = [
      {
        stage: 'nat',
        outcome: 'source translated',
        rule: { id: 0, text: 'nat snat ...', file: 'gw.conf', line: 3 },
      },
      { stage: 'route', outcome: 'longest match', route: toB, peer: 'siteB' },
      { stage: 'out', outcome: 'sent to the peer', route: toB, peer: 'siteB' },
    ];
    expect(renderTrace({ schema: 'tsvpn.trace/1', packet, steps }).split('\n')).toEqual([
      packet,
      '  nat    source translated (gw.conf:3 nat snat ...)',
      '  route  longest match: peer siteB (gw.conf:12 peer-route 10.1.0.0/16)',
      '  out    → peer siteB (gw.conf:12 peer-route 10.1.0.0/16)',
    ]);
  });

  test('ends with the reason of a drop', () => {
    const steps = [
      {
        stage: 'out',
        outcome: 'dropped',
        drop: { reason: 'no-route', explanation: 'no route to the destination' },
      },
    ];
    expect(renderTrace({ schema: 'tsvpn.trace/1', packet, steps })).toContain(
      '  out  dropped: no-route (no route to the destination)',
    );
  });
});

describe('the NAT', () => {
  const session: NatSession = {
    protocol: 6,
    original: {
      source: '10.8.0.2',
      sourcePort: 51234,
      destination: '192.168.50.5',
      destinationPort: 80,
      packets: 3,
      bytes: 2048,
    },
    reply: {
      source: '192.168.50.5',
      sourcePort: 80,
      destination: '172.16.0.2',
      destinationPort: 61000,
      packets: 2,
      bytes: 512,
    },
    from: 'siteB',
    to: 'tun',
    state: 'established',
    halfOpen: false,
    ageSec: 9,
    idleSec: 1,
    timeoutSec: 7439,
    dnatRule: undefined,
    snatRule: 0,
  };

  test('lists sessions with how they appear on the other side', () => {
    const [head, line] = renderSessions({ schema: 'tsvpn.nat/1', sessions: [session] }).split('\n');
    expect(head).toMatch(/^proto +state +source +destination +appears as +from +to +idle +ends in +traffic$/);
    expect(line).toMatch(
      /^tcp +established +10\.8\.0\.2:51234 +192\.168\.50\.5:80 +172\.16\.0\.2:61000 +siteB +tun +1 s +7439 s +2\.00 KiB out, 512 B in$/,
    );
  });

  test('shows both ends where the destination is translated', () => {
    const forwarded = { ...session, reply: { ...session.reply, source: '10.0.1.26', sourcePort: 8080 } };
    expect(renderSessions({ schema: 'tsvpn.nat/1', sessions: [forwarded] })).toContain(
      '172.16.0.2:61000 > 10.0.1.26:8080',
    );
  });

  test('lists rules with their sessions and lines', () => {
    const rules: NatRules = {
      schema: 'tsvpn.nat-rules/1',
      rules: [
        {
          id: 0,
          text: 'nat snat 10.8.0.0/24 out eth1 masquerade',
          sessions: 4,
          otherEgress: 1,
          where: 'gw.conf:9',
        },
      ],
      stats: null,
    };
    expect(renderRules(rules).split('\n')[1]).toMatch(
      /^0 +4 +1 +gw\.conf:9 +nat snat 10\.8\.0\.0\/24 out eth1 masquerade$/,
    );
    expect(renderRules({ ...rules, rules: [] })).toBe('no nat rules');
  });
});
