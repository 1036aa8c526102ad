import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { renderPeer, renderStatus } from '../../src/control/status-text.ts';
import {
  overallState,
  PEER_STATES,
  STATUS_SCHEMA,
  TUNNEL_STATES,
  type PeerState,
  type TunnelStatus,
} from '../../src/control/status.ts';
import { humanAge, humanBytes, humanDuration } from '../../src/control/units.ts';
import { schemaViolations, type Schema } from '../support/json-schema.ts';
import { hubStatus, SAMPLE_PEER, SAMPLE_STATUS } from '../support/status.ts';

const NOW = Date.parse('2026-11-22T01:00:45Z');
const schema = JSON.parse(readFileSync('docs/status.schema.json', 'utf8')) as Schema & {
  properties: { schema: { const: string }; state: { enum: string[] } };
  $defs: { peer: { properties: { state: { enum: string[] } } } };
};

describe('docs/status.schema.json', () => {
  test('describes a complete status', () => {
    expect(schemaViolations(SAMPLE_STATUS, schema)).toEqual([]);
    const unheard = { ...SAMPLE_PEER, endpoint: null, lastPacketAgeMs: null };
    expect(schemaViolations({ ...SAMPLE_STATUS, device: null, peers: [unheard] }, schema)).toEqual([]);
    expect(schemaViolations(hubStatus(50), schema)).toEqual([]);
  });

  test('has the version and the states of the code', () => {
    expect(schema.properties.schema.const).toBe(STATUS_SCHEMA);
    expect(schema.properties.state.enum).toEqual(TUNNEL_STATES);
    expect(schema.$defs.peer.properties.state.enum).toEqual(PEER_STATES);
  });

  const { name: _name, ...nameless } = SAMPLE_STATUS;
  test.each<[string, unknown, string]>([
    ['a missing key', nameless, '$.name is missing'],
    ['an unknown key', { ...SAMPLE_STATUS, extra: 1 }, '$.extra is not in the schema'],
    ['an unknown state', { ...SAMPLE_STATUS, state: 'fine' }, '$.state is not one of'],
    [
      'a count that is no number',
      { ...SAMPLE_STATUS, drops: { auth: 'many' } },
      '$.drops.auth is not integer',
    ],
  ])('does not describe %s', (_row, status, violation) => {
    expect(schemaViolations(status, schema).join('\n')).toContain(violation);
  });
});

describe('status for people', () => {
  const text = renderStatus(SAMPLE_STATUS, NOW);

  test.each([
    ['state with its age', 'tunnel: site-a (connected for 1 minute, 3 seconds)'],
    ['peer', 'peer: 192.0.2.1:1194'],
    ['age of the last packet', 'last packet: 3 seconds ago'],
    ['human bytes', 'sent: 3.00 MiB in 7 packets'],
    ['device, MTU and MSS', 'device: tun0, MTU 1500, TCP MSS 1345'],
    ['offloads', 'offload: device tso+uso, UDP GSO, UDP GRO; socket buffers 8.00 MiB in, 8.00 MiB out'],
    ['crypto', 'crypto: AES-256-CBC, SHA256, by OpenSSL 3.0.19'],
    ['fingerprint', 'key: fingerprint 0123abcd'],
    ['process', 'process: pid 4711, tsvpn 0.1.0, up 1 minute, 45 seconds, 0 restarts'],
  ])('shows %s', (_row, line) => {
    expect(text).toContain(line);
  });

  test('mentions the path where it carries less than the config assumes', () => {
    const peer = { ...SAMPLE_PEER, mtu: { tunMtu: 1500, inner: 1303, mss: 1263, path: 1400 } };
    expect(renderStatus({ ...SAMPLE_STATUS, peers: [peer] }, NOW)).toContain(
      'MTU: inner packets of 1303 bytes instead of 1500 (path MTU 1400)',
    );
    expect(text).not.toContain('instead of');
    expect(text).not.toContain('why:');
  });

  test('explains every reason that dropped packets, most frequent first', () => {
    const lines = text.split('\n');
    const header = lines.findIndex((line) => line.includes('inner-header'));
    expect(lines[header]).toMatch(/^ {4}inner-header {2}12 {2}lengths in the inner IP header/);
    expect(lines[header + 1]).toMatch(/^ {4}auth {10} 2 {2}HMAC differs/);
  });

  test('says nothing of drops when there were none', () => {
    expect(renderStatus({ ...SAMPLE_STATUS, drops: {} }, NOW)).not.toContain('dropped');
  });

  test('shows what is not known yet in words', () => {
    const peer = {
      ...SAMPLE_PEER,
      state: 'waiting',
      endpoint: null,
      lastPacketAgeMs: null,
      mtu: { tunMtu: 1500, inner: 1500, mss: null, path: null },
    } as const;
    const early: TunnelStatus = {
      ...SAMPLE_STATUS,
      state: 'waiting',
      device: null,
      addresses: [],
      offload: { tun: 'tso', fallbacks: 2 },
      peers: [peer],
    };
    const shown = renderStatus(early, NOW);
    expect(shown).toContain('peer: 192.0.2.1:1194, nothing heard from it yet');
    expect(renderStatus({ ...early, peers: [{ ...peer, remote: null }] }, NOW)).toContain(
      'peer: address not known yet',
    );
    expect(shown).toContain('last packet: never');
    expect(shown).toMatch(/\n {2}why: .+\n {2}fix: .+/);
    expect(shown).toContain('mssfix off');
    expect(shown).not.toContain('null');
  });

  test('escapes control characters in names', () => {
    expect(renderStatus({ ...SAMPLE_STATUS, configFiles: ['/tmp/\u001b[31m.conf'] }, NOW)).toContain(
      '/tmp/\\u001b[31m.conf',
    );
  });
});

describe('status of several peers', () => {
  const text = renderStatus(hubStatus(50), NOW);

  test('is a line for each peer, below what they share', () => {
    expect(text).toContain('tunnel: hub (partial for 1 minute, 3 seconds)');
    expect(text).toContain('peers: 1 of 50 connected');
    const lines = text.split('\n').filter((line) => /^site-\d/.test(line));
    expect(lines).toHaveLength(50);
    expect(lines[0]).toMatch(
      /^site-0 +connected for 1 minute, 3 seconds +192\.0\.2\.1:1194 +3 seconds ago +2\.00 KiB +3\.00 MiB +14 +10\.0\.0\.0\/16, 10\.0\.1\.0\/24 \+1$/,
    );
    expect(lines[1]).toMatch(/^site-1 +waiting for 1 minute, 3 seconds +192\.0\.2\.1:1194 +never /);
  });

  test('has the columns of all lines below each other', () => {
    const lines = text.split('\n').slice(text.split('\n').findIndex((line) => line.startsWith('peer ')));
    const column = lines[0].indexOf('endpoint');
    expect(lines.every((line) => line.slice(column - 2, column) === '  ')).toBe(true);
  });

  test('one of them in full says why it is silent', () => {
    const [, silent] = hubStatus(2).peers;
    const peer = { ...silent, drops: { auth: 6 } };
    expect(renderPeer(peer, NOW)).toContain('why: 6 datagrams arrived and were dropped: auth (HMAC differs');
    expect(renderPeer(SAMPLE_PEER, NOW)).not.toContain('why:');
  });
});

test.each<[string, readonly PeerState[], string]>([
  ['one peer, its own state', ['silent'], 'silent'],
  ['all connected', ['connected', 'connected'], 'connected'],
  ['some connected', ['connected', 'silent', 'ended'], 'partial'],
  ['none connected', ['waiting', 'restarting'], 'waiting'],
  ['none left', ['ended'], 'exiting'],
])('the state of a tunnel with %s', (_row, states, expected) => {
  expect(overallState(states)).toBe(expected);
});

describe('units', () => {
  test.each([
    [0, '0 seconds'],
    [1, '1 second'],
    [63, '1 minute, 3 seconds'],
    [3600, '1 hour'],
    [3605, '1 hour'],
    [90061, '1 day, 1 hour'],
    [-5, '0 seconds'],
  ])('%d s is %s', (seconds, text) => expect(humanDuration(seconds)).toBe(text));

  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [1536, '1.50 KiB'],
    [5 * 1024 ** 3, '5.00 GiB'],
  ])('%d bytes are %s', (bytes, text) => expect(humanBytes(bytes)).toBe(text));

  test('less than a second ago is now', () => expect(humanAge(900)).toBe('now'));
});
