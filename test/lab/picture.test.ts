import { describe, expect, it } from 'vitest';
import { drawLab } from '../../src/lab/picture.ts';
import type { LabReport } from '../../src/lab/report.ts';

const rttMs = { min: 0.4, mean: 0.591, max: 12.2 };

const good: LabReport = {
  schema: 'tsvpn.lab/1',
  ok: true,
  gateways: { a: 'tsvpn', b: 'openvpn' },
  pings: [
    { from: 'A', sent: 5, received: 5, rttMs },
    { from: 'B', sent: 5, received: 5, rttMs },
  ],
  traces: [
    { from: 'A', hops: ['10.0.1.1', '10.254.0.2', '10.1.1.2'], asExpected: true },
    { from: 'B', hops: ['10.1.1.1', '10.254.0.1', '10.0.1.2'], asExpected: true },
  ],
  transfers: [
    { from: 'A', bytes: 64 << 20, megabitsPerSecond: 412.4, intact: true },
    { from: 'B', bytes: 64 << 20, megabitsPerSecond: 9.44, intact: true },
  ],
  shells: { hosta: '', gatewaya: '', internet: '', gatewayb: '', hostb: '' },
  folder: '/tmp/lab',
};

describe('drawLab', () => {
  it('draws the network and what was measured in it', () => {
    expect(`\n${drawLab(good).join('\n')}\n`).toBe(`
 site A  10.0.0.0/16                                       site B  10.1.0.0/16
┌──────────┐  ┌──────────────┐  ┌─────────────┐  ┌──────────────┐  ┌──────────┐
│  host A  │  │  gateway A   │  │  internet   │  │  gateway B   │  │  host B  │
│          ├──┤    tsvpn     ├──┤             ├──┤   openvpn    ├──┤          │
│ 10.0.1.2 │  │  192.0.2.2   │  │             │  │ 198.51.100.2 │  │ 10.1.1.2 │
└──────────┘  └───────╥──────┘  └─────────────┘  └──────╥───────┘  └──────────┘
                      ╚═ 10.254.0.1 ═══════ 10.254.0.2 ═╝
                      AES-256-CBC, SHA256, UDP port 1194

 ping           A → B   5 of 5 answered, 0.59 ms (0.40 to 12.20)         ok
                B → A   5 of 5 answered, 0.59 ms (0.40 to 12.20)         ok
 traceroute     A → B   10.0.1.1 → 10.254.0.2 → 10.1.1.2  (3 hops)       ok
                B → A   10.1.1.1 → 10.254.0.1 → 10.0.1.2  (3 hops)       ok
 TCP 64.00 MiB  A → B   412 Mbit/s, SHA-256 equal                        ok
                B → A   9.4 Mbit/s, SHA-256 equal                        ok
`);
  });

  it('says what failed: lost pings, silent and wrong hops, a damaged transfer', () => {
    const bad: LabReport = {
      ...good,
      ok: false,
      pings: [
        { from: 'A', sent: 5, received: 4, rttMs },
        { from: 'B', sent: 5, received: 0, rttMs: undefined },
      ],
      traces: [{ from: 'A', hops: ['10.0.1.1', undefined], asExpected: false }],
      transfers: [{ from: 'A', bytes: 1000, megabitsPerSecond: 1, intact: false }],
    };
    const rows = drawLab(bad).slice(-4);
    expect(rows).toEqual([
      ' ping           A → B   4 of 5 answered, 0.59 ms (0.40 to 12.20)         FAILED',
      '                B → A   0 of 5 answered                                  FAILED',
      ' traceroute     A → B   10.0.1.1 → *  (2 hops)                           FAILED',
      ' TCP 1000 B     A → B   1.0 Mbit/s, SHA-256 differs                      FAILED',
    ]);
  });

  it('fits into 80 columns, colours not counted', () => {
    expect(Math.max(...drawLab(good).map((line) => line.length))).toBeLessThanOrEqual(80);
    const coloured = drawLab(good, (_colour, text) => `<${text}>`);
    expect(coloured.map((line) => line.replaceAll(/[<>]/g, ''))).toEqual(drawLab(good));
  });
});
