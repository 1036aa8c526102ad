import { describe, expect, it } from 'vitest';
import { barChart } from '../../src/bench/plot/bars.ts';
import { lineChart } from '../../src/bench/plot/lines.ts';
import { plotsOf } from '../../src/bench/plot/plots.ts';
import { linearAxis, logAxis, tickLabel } from '../../src/bench/plot/scale.ts';
import { results, sample } from '../support/bench.ts';

/** Throws unless every element is closed in its order, attributes are quoted and text has no stray character. */
function checkXml(document: string): void {
  const open: string[] = [];
  const token = /<(\/?)([a-z]+)((?: [\w-]+="[^"<]*")*)(\/?)>|([^<]+)/gy;
  let end = 0;
  for (const match of document.matchAll(token)) {
    end = match.index + match[0].length;
    const [, closing, name, , empty, characters] = match;
    if (characters !== undefined) {
      if (/&(?!#\d+;)/.test(characters)) throw new Error(`stray & in ${characters}`);
    } else if (closing === '/') {
      if (open.pop() !== name) throw new Error(`</${name}> closes nothing`);
    } else if (empty !== '/') open.push(name);
  }
  if (end !== document.length) throw new Error(`no XML from ${document.slice(end, end + 40)}`);
  if (open.length > 0) throw new Error(`<${open.at(-1)}> is not closed`);
}

const numbers = (svg: string) =>
  [...svg.matchAll(/="(-?[\d.]+|NaN|Infinity|undefined)"/g)].map(([, n]) => Number(n));

describe('checkXml, which the tests below rely on', () => {
  it.each(['<a><b></a></b>', '<a>', '<a x=1/>', '<a>&</a>', '<a/>>'.replace('>>', '><')])(
    'refuses %s',
    (text) => {
      expect(() => checkXml(text)).toThrow(/closes nothing|is not closed|no XML|stray/);
    },
  );
});

const everything = results([
  ...['tcp1', 'tcp4', 'providers', 'suites'].flatMap((name) => [
    sample(name, 'stock', { mbps: 300, cpuPerGbA: 12, cpuPerGbB: 11 }),
    sample(name, 'stock', { mbps: 400, cpuPerGbA: 13, cpuPerGbB: 10 }, { repetition: 1 }),
    sample(name, 'tsvpn', { mbps: 3000, cpuPerGbA: 1.2, cpuPerGbB: 1.1 }),
    sample(name, 'veth', { mbps: 30_000 }),
  ]),
  sample('rtt', 'stock', { rttMedian: 150, rttP99: 500 }),
  sample('rss', 'tsvpn', { rssA: 80, rssB: 81 }),
  sample('nat-tcp', 'stock', { mbps: 300 }),
  sample('forwarding', '1 route, 1000 flows', { pps: 2e6 }),
  ...[64, 512, 1415, 1416, 9000].map((at) =>
    sample('mtu-udp', 'stock', { mbps: at, received: 1e7 / at, overhead: 92, frames: 1 }, { at }),
  ),
  ...[1400, 9000].flatMap((at) => [
    sample('path-black-hole', 'stock', { mbps: 0, firstByte: 5000, answer: 5000 }, { at }),
    sample('path-black-hole', 'tsvpn', { mbps: 500, firstByte: 10, answer: 20 }, { at }),
  ]),
  ...[5000, 10_000, 40_000, 80_000, 0].map((at) => sample('udp64', 'tsvpn', { received: at }, { at })),
]);

describe('plots', () => {
  const plots = plotsOf(everything);

  it('are drawn for what was measured, and only that', () => {
    expect(plots.map(({ name }) => name)).toEqual([
      'tcp',
      'cpu',
      'rtt',
      'rss',
      'nat-tcp',
      'forwarding',
      'providers',
      'suites',
      'udp64-received',
      'mtu-udp-mbps',
      'mtu-udp-received',
      'mtu-udp-overhead',
      'path-black-hole-mbps',
      'path-black-hole-firstByte',
    ]);
    expect(plotsOf(results([]))).toEqual([]);
  });

  it.each(plots)(
    '$name is well-formed, has a title and units, and stays inside the drawing',
    ({ svg, title }) => {
      expect(() => checkXml(svg)).not.toThrow();
      expect(svg).toContain(`<title>${title}`);
      expect(svg).toMatch(/Mbit\/s|s\/GB|per second|packets\/s|million\/s|µs|MB|bytes\/packet|ms \(/);
      for (const number of numbers(svg)) {
        expect(number).toBeGreaterThanOrEqual(0);
        expect(number).toBeLessThanOrEqual(1000);
      }
    },
  );

  it.each(plots)('$name follows the dark scheme of its reader', ({ svg }) => {
    expect(svg).toContain('@media (prefers-color-scheme: dark)');
  });

  it('say what did not come', () => {
    const { svg } = plots.find(({ name }) => name === 'path-black-hole-firstByte')!;
    expect(svg).toContain('no byte in 5 s');
    expect(svg).toContain('MTU 9,000');
  });

  it('leaves the cable, which would dwarf all else, out of the bars', () => {
    expect(plots.find(({ name }) => name === 'tcp')!.svg).not.toContain('veth');
  });

  it('escape what they are given', () => {
    const bar = { value: 1, min: 1, max: 1 };
    const hostile = {
      title: '<&>',
      axis: '"\'',
      format: String,
      series: ['x'],
      groups: [{ name: '<b>&', bars: [bar] }],
    };
    expect(() => checkXml(barChart(hostile))).not.toThrow();
    const curve = { name: '&', points: [[1, 2]] as const };
    expect(() => checkXml(lineChart({ title: '<', xAxis: '&', yAxis: '>', series: [curve] }))).not.toThrow();
  });

  it('of zeros are drawn', () => {
    const bar = { value: 0, min: 0, max: 0 };
    const svg = barChart({
      title: 't',
      axis: 'a',
      format: String,
      series: ['x'],
      groups: [{ name: 'n', bars: [bar] }],
    });
    for (const number of numbers(svg)) expect(Number.isFinite(number)).toBe(true);
  });
});

describe('axes', () => {
  it.each([
    [7, [0, 2, 4, 6, 8]],
    [100, [0, 20, 40, 60, 80, 100]],
    [2570, [0, 500, 1000, 1500, 2000, 2500, 3000]],
    [0.3, [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]],
  ])('a linear axis to %d has round ticks from 0', (max, ticks) => {
    const axis = linearAxis(max, 100, 700);
    expect(axis.ticks).toEqual(ticks);
    expect(axis.at(0)).toBe(100);
    expect(axis.at(ticks.at(-1)!)).toBeCloseTo(700);
  });

  it.each([
    [64, 9000, 50, 10_000],
    [5000, 320_000, 5000, 500_000],
    [1, 1, 1, 2],
  ])('a logarithmic axis from %d to %d spans %d to %d', (min, max, first, last) => {
    const axis = logAxis(min, max, 0, 100);
    expect([axis.ticks[0], axis.ticks.at(-1)]).toEqual([first, last]);
    expect([axis.at(first), axis.at(last)]).toEqual([0, 100]);
  });

  it.each([
    [0, '0'],
    [0.25, '0.25'],
    [1500, '1,500'],
    [80_000, '80 k'],
    [2_500_000, '2.5 M'],
  ])('%d is labelled %s', (value, label) => expect(tickLabel(value)).toBe(label));
});
