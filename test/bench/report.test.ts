import { describe, expect, it } from 'vitest';
import type { Baseline } from '../../src/bench/baseline.ts';
import { renderReport } from '../../src/bench/report.ts';
import { summaryLines } from '../../src/bench/summary.ts';
import { plain } from '../../src/control/colour.ts';
import { results, sample } from '../support/bench.ts';

const tcp = [
  sample('tcp1', 'stock', { mbps: 300 }),
  sample('tcp1', 'stock', { mbps: 500 }, { repetition: 1 }),
  sample('tcp1', 'tsvpn', { mbps: 4000 }),
];

const baseline: Baseline = {
  schema: 'tsvpn.bench-baseline/1',
  commit: 'abc',
  cpu: 'Pentium',
  rows: [{ measurement: 'tcp1', contender: 'tsvpn', metric: 'mbps', ratio: 20, tolerance: 0.3 }],
};

describe('the report', () => {
  it('has median, extremes and ratio to stock of every contender', () => {
    const report = renderReport(results(tcp), []);
    expect(report).toContain('| stock | 400 (300–500) |');
    expect(report).toContain('| tsvpn | 4,000 10.00× |');
    expect(report).toContain('goodput, Mbit/s');
  });

  it('says what it was measured on', () => {
    const report = renderReport(results(tcp), []);
    for (const fact of ['Pentium', '6.1.0', 'openvpn 2.6.14', 'abc']) expect(report).toContain(fact);
  });

  it('judges the goals the run has figures for', () => {
    const report = renderReport(results(tcp), []);
    expect(report).toContain('| TCP, 1 stream | 8.00× | 10.00× | 10.00× | aim reached |');
    expect(report).not.toContain('Round trip idle');
  });

  it('judges goals against another contender than stock', () => {
    const samples = [
      sample('nat-tcp', 'tsvpn-routed', { mbps: 1000 }),
      sample('nat-tcp', 'tsvpn', { mbps: 930 }),
    ];
    const report = renderReport(results(samples), []);
    expect(report).toContain(
      '| TCP through source NAT, against tsvpn without NAT | 0.90× | 0.97× | 0.93× | reached |',
    );
  });

  it('names what was missing and what failed', () => {
    const report = renderReport(
      results(tcp, {
        contenders: [{ name: 'fastd', title: 'fastd', missing: 'not installed (apt-get install fastd)' }],
        failures: [{ measurement: 'rtt', contender: 'tsvpn', why: 'no | answer\nat all' }],
      }),
      [],
    );
    expect(report).toContain('| fastd | fastd: not measured, not installed (apt-get install fastd) |');
    expect(report).toContain('| rtt | tsvpn | no \\| answer at all |');
  });

  it('puts curves into tables, a column for each contender', () => {
    const curve = [64, 512].flatMap((at) => [
      sample('mtu-udp', 'stock', { received: at * 10 }, { at }),
      sample('mtu-udp', 'tsvpn', { received: at * 20 }, { at }),
    ]);
    const measurements = [{ name: 'mtu-udp', title: 'by size', curve: 'inner packet, bytes' }];
    const report = renderReport(results(curve, { measurements }), []);
    expect(report).toContain('| inner packet, bytes | stock | tsvpn |');
    expect(report).toContain('| 512 | 5,120 | 10,240 |');
  });

  it('says what did not come instead of how long it was waited for', () => {
    const path = [
      sample('path-icmp', 'stock', { firstByte: 5000, answer: 5000 }, { at: 1400 }),
      sample('path-icmp', 'tsvpn', { firstByte: 12.34, answer: 20 }, { at: 1400 }),
    ];
    const report = renderReport(results(path), []);
    expect(report).toContain('| 1,400 | no byte in 5 s | 12.3 |');
    expect(report).toContain('| 1,400 | not all in 5 s | 20.0 |');
  });

  it.each([
    ['agrees', 85, 'The overhead is that of the arithmetic'],
    ['differs', 99, 'The overhead differs from the arithmetic: stock at 1415.'],
  ])('says whether the measured overhead %s', (_, overhead, sentence) => {
    const curve = [
      sample('mtu-udp', 'stock', { overhead, overheadExpected: 85, frames: 1 }, { at: 1415 }),
      sample('mtu-udp', 'stock', { overhead: 120, overheadExpected: 120, frames: 2 }, { at: 1416 }),
    ];
    const report = renderReport(results(curve), []);
    expect(report).toContain('stock 1,415 bytes; by arithmetic 1,415 bytes');
    expect(report).toContain(sentence);
  });

  it('links its plots where they lie', () => {
    const plots = [{ name: 'tcp', title: 'TCP', svg: '' }];
    expect(renderReport(results(tcp), plots)).toContain('![TCP](tcp.svg)');
    expect(renderReport(results(tcp), plots, { plotFolder: 'p/' })).toContain('![TCP](p/tcp.svg)');
  });

  it('marks a regression against the baseline', () => {
    const report = renderReport(results(tcp), [], { baseline });
    expect(report).toContain('| tcp1 | tsvpn | goodput | 20.00× | 10.00× | 30 % | **regressed** |');
  });

  it('has as many cells in every row of a table as in its head', () => {
    const report = renderReport(results(tcp), [], { baseline });
    const tables = report
      .trimEnd()
      .split('\n\n')
      .filter((block) => block.startsWith('|'));
    for (const table of tables) {
      const widths = table.split('\n').map((line) => line.split(/(?<!\\)\|/).length);
      expect(new Set(widths).size).toBe(1);
    }
  });
});

describe('the summary on the terminal', () => {
  it('has one line per figure', () => {
    expect(summaryLines(results(tcp), undefined, plain)).toEqual([
      '',
      'title of tcp1',
      '  stock  goodput    400  Mbit/s  300..500   1.00×',
      '  tsvpn  goodput  4,000  Mbit/s            10.00×',
    ]);
  });

  it('paints a regression red', () => {
    const lines = summaryLines(results(tcp), baseline, (colour, text) => `<${colour}>${text}`);
    expect(lines.at(-1)).toBe(
      '<red>  regressed: tcp1 tsvpn, goodput: 10.00× stock, was 20.00× (tolerance 30 %)',
    );
  });

  it('lists what is missing and what failed', () => {
    const more = {
      contenders: [{ name: 'fastd', title: 'fastd', missing: 'not installed' }],
      failures: [{ measurement: 'tcp1', contender: 'tsvpn', why: 'ended' }],
    };
    const lines = summaryLines(results([], more), undefined, plain);
    expect(lines).toEqual([
      '',
      'Not measured',
      '  fastd: not installed',
      '',
      'Failed',
      '  tcp1, tsvpn: ended',
    ]);
  });
});
