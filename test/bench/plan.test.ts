import { describe, expect, it } from 'vitest';
import { MEASUREMENT_NAMES, planOf, type PlanOptions } from '../../src/bench/plan.ts';
import { rotated } from '../../src/bench/round-robin.ts';
import { bench } from '../../src/cli/bench.ts';
import { OperatorError } from '../../src/errors.ts';

/** What would run: `in process`, and for each part its contenders and measurements. */
function plan(options: Partial<PlanOptions>) {
  const usual = { only: undefined, contenders: undefined, quick: false, tsvpnCommand: ['tsvpn'] };
  const { inProcess, parts } = planOf({ ...usual, ...options });
  return {
    inProcess: inProcess.map(({ name }) => name),
    parts: parts.map(({ contenders, measurements }) => ({
      contenders: contenders.map(({ name }) => name),
      measurements: measurements.map(({ name }) => name),
    })),
  };
}

describe('the plan', () => {
  it('without options measures everything', () => {
    const { inProcess, parts } = plan({});
    const names = new Set([...inProcess, ...parts.flatMap(({ measurements }) => measurements)]);
    expect([...names].toSorted()).toEqual([...MEASUREMENT_NAMES].toSorted());
  });

  it('of --only and --contenders measures just that', () => {
    expect(plan({ only: ['tcp1'], contenders: ['stock', 'tsvpn-noble'] })).toEqual({
      inProcess: [],
      parts: [{ contenders: ['stock', 'tsvpn-noble'], measurements: ['tcp1'] }],
    });
  });

  it('of --contenders alone is the main comparison', () => {
    const { inProcess, parts } = plan({ contenders: ['stock', 'tsvpn'] });
    expect(inProcess).toEqual([]);
    expect(parts.map(({ contenders }) => contenders)).toEqual([['stock', 'tsvpn']]);
    expect(parts[0].measurements).toContain('tcp1');
  });

  it('of in-process benches needs no testbed', () => {
    expect(plan({ only: ['codec', 'pipeline'] })).toEqual({ inProcess: ['codec', 'pipeline'], parts: [] });
  });

  it('of --quick has TCP, UDP, round trips and memory, with stock to compare with', () => {
    const [{ contenders, measurements }] = plan({ quick: true }).parts;
    expect(measurements).toEqual(['tcp1', 'udp64', 'rtt', 'rtt-load', 'rss']);
    expect(contenders).toEqual(
      expect.arrayContaining(['stock', 'tsvpn', 'tsvpn-stock', 'stock-tsvpn', 'veth']),
    );
  });

  it('of --quick has source NAT with and without, and many peers in one process', () => {
    const [, translated, many] = plan({ quick: true }).parts;
    expect(translated).toEqual({
      contenders: ['stock', 'tsvpn', 'tsvpn-routed'],
      measurements: ['nat-tcp'],
    });
    expect(many).toEqual({ contenders: ['stock', 'tsvpn', 'tsvpn-50-peers'], measurements: ['peers-rss'] });
  });

  it('has a part for each of six paths, three kinds of routers on each, and in --quick two of them', () => {
    const only = ['path-icmp', 'path-black-hole', 'path-no-fragments'];
    const paths = plan({ only }).parts;
    expect(paths).toHaveLength(18);
    for (const { contenders } of paths) expect(contenders).toEqual(['stock', 'tsvpn-unmeasured', 'tsvpn']);
    expect(plan({ only, quick: true }).parts.map(({ measurements }) => measurements)).toEqual([
      ['path-black-hole'],
      ['path-no-fragments'],
    ]);
  });

  it('compares every part with stock', () => {
    for (const { contenders } of plan({}).parts) expect(contenders).toContain('stock');
  });

  it.each([
    ['only', { only: ['tcp9'] }, 'tcp9'],
    ['contenders', { contenders: ['openvpn'] }, 'openvpn'],
  ])('refuses an unknown name in --%s as a usage error', (_, options, name) => {
    expect(() => plan(options)).toThrow(OperatorError);
    expect(() => plan(options)).toThrow(`'${name}'`);
  });

  it('names in the help are all there are', () => {
    for (const name of MEASUREMENT_NAMES) expect(bench.notes).toContain(name);
  });
});

describe('each repetition begins with another contender', () => {
  it.each([
    [0, ['a', 'b', 'c']],
    [1, ['b', 'c', 'a']],
    [2, ['c', 'a', 'b']],
    [3, ['a', 'b', 'c']],
  ])('repetition %i: %j', (repetition, order) => {
    expect(rotated(['a', 'b', 'c'], repetition)).toEqual(order);
  });

  it('and nobody rotates to nobody', () => expect(rotated([], 3)).toEqual([]));
});
