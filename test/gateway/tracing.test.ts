import { describe, expect, it } from 'vitest';
import type { TraceRequest } from '../../src/control/trace.ts';
import type { TraceStep } from '../../src/engine/trace.ts';
import { tracedPacket, traceReport } from '../../src/gateway/tracing.ts';
import { DropReason } from '../../src/packet/verdict.ts';
import { configRoutes } from '../../src/gateway/routing.ts';
import { gatewayOf } from '../support/config.ts';

const REQUEST: TraceRequest = {
  source: '10.0.0.1',
  destination: '10.1.0.5',
  protocol: 'icmp',
  sourcePort: 1,
  destinationPort: 1,
  dontFragment: false,
};
const config = gatewayOf(['route 10.1.0.0 255.255.0.0', 'setenv opt nat none 10.0.0.0/8']);
const NAMES = {
  routes: configRoutes(config),
  natLines: config.nat.lines,
  peerName: (index: number) => (index === 0 ? 'peer' : undefined),
};
const position = NAMES.routes.findIndex(({ prefix }) => prefix.length === 16);
const report = (...steps: TraceStep[]) => traceReport(REQUEST, 28, steps, NAMES);

describe('a trace in words', () => {
  it('has lines of the config in place of numbers', () => {
    const { packet, steps } = report(
      { stage: 'nat', outcome: 'not translated', rule: 0 },
      { stage: 'route', outcome: 'longest match', route: position, peer: 0 },
      { stage: 'out', outcome: 'sent to the peer', peer: 0 },
    );
    const route = { prefix: '10.1.0.0/16', peer: 'peer', source: { directive: 'route', where: { line: 5 } } };
    expect(packet).toBe('ICMP 10.0.0.1 > 10.1.0.5, 28 bytes, from the device');
    expect(steps).toMatchObject([
      { rule: { id: 0, text: 'nat none 10.0.0.0/8', file: 'peer.conf', line: 6 } },
      { route, peer: 'peer' },
      { route, peer: 'peer' },
    ]);
  });

  it('explains a drop', () => {
    const { steps } = report({ stage: 'out', outcome: 'dropped', verdict: DropReason.Spoofed });
    expect(steps[0].drop).toMatchObject({
      reason: 'spoofed',
      explanation: expect.stringContaining('allowed-source') as string,
    });
  });

  it('does not say that a packet for the kernel goes to the peer of its route', () => {
    const { steps } = report(
      { stage: 'route', outcome: 'longest match', route: position, peer: 0 },
      { stage: 'out', outcome: 'handed to the kernel' },
    );
    expect(steps[1]).toEqual({ stage: 'out', outcome: 'handed to the kernel' });
  });

  it('has no route for a source that is allowed, but not routed', () => {
    expect(report({ stage: 'source', outcome: 'fine', route: -1, peer: 0 }).steps[0]).toEqual({
      stage: 'source',
      outcome: 'fine',
      peer: 'peer',
    });
  });
});

describe('the packet to follow', () => {
  it('is built as asked', () => {
    expect(tracedPacket(REQUEST)).toHaveLength(28);
    expect(tracedPacket({ ...REQUEST, protocol: 'tcp', size: 1500 })).toHaveLength(1500);
  });

  it.each([
    ['of two families', { destination: 'fd00::1' }, 'TRACE_PACKET'],
    ['too small for its headers', { size: 20 }, 'TRACE_PACKET'],
    ['to no address', { destination: 'host' }, 'ADDRESS'],
  ])('%s is refused', (_row, part, code) => {
    expect(() => tracedPacket({ ...REQUEST, ...part })).toThrow(
      expect.objectContaining({ code, exitCode: 2 }) as Error,
    );
  });
});
