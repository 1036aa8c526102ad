import { describe, expect, it } from 'vitest';
import { explain, lint } from '../../src/config/explain.ts';
import type { Finding } from '../../src/config/explain.ts';
import { noFindings } from '../../src/config/findings.ts';
import { errorsOf, gatewayOf, joined } from '../support/config.ts';
import type { Files } from '../support/config.ts';

/** Nothing to remark but what every tunnel has. */
const TIDY = ['auth SHA256', 'key-direction 0', 'keepalive 10 60', 'remote gw.example.net', 'float'];

function lintOf(lines: readonly string[]): Finding[] {
  return lint(gatewayOf(lines)).filter(({ code }) => code !== 'CHECK_OPENVPN_27');
}

describe('check says of a config that works', () => {
  it('nothing but the line OpenVPN 2.7 needs, when there is nothing to say', () => {
    const findings = lint(gatewayOf(TIDY));
    expect(findings.map(({ severity, peer }) => [severity, peer])).toEqual([
      ['remark', ['setenv opt allow-deprecated-insecure-static-crypto']],
    ]);
  });

  const rows: readonly [
    rule: string,
    lines: readonly string[],
    code: string,
    here: string | undefined,
    peer: string | undefined,
  ][] = [
    ['SHA1', ['auth SHA1'], 'CHECK_AUTH_OLD', 'auth SHA256', 'auth SHA256'],
    ['strict order', ['replay-window 0'], 'CHECK_REPLAY_STRICT', 'replay-window 64 15', undefined],
    [
      'a compression framing',
      ['comp-lzo no'],
      'CHECK_COMPRESSION',
      '# remove: comp-lzo',
      '# remove: comp-lzo',
    ],
    [
      'compress stub-v2',
      ['compress stub-v2'],
      'CHECK_COMPRESSION',
      '# remove: compress stub-v2',
      '# remove: compress stub-v2',
    ],
    [
      'compress lz4',
      ['compress lz4'],
      'CHECK_COMPRESSION',
      '# remove: compress lz4',
      '# remove: compress lz4',
    ],
    ['fragment', ['fragment 1200 mtu'], 'CHECK_FRAGMENT', undefined, 'fragment 1200 mtu'],
    ['mssfix 0', ['mssfix 0'], 'CHECK_MSSFIX', 'mssfix', undefined],
    [
      'IPv6 routes without address',
      ['route-ipv6 fd01::/64'],
      'CHECK_IPV6_ADDRESS',
      'ifconfig-ipv6 fd00:10:254::1/64 fd00:10:254::2',
      'ifconfig-ipv6 fd00:10:254::2/64 fd00:10:254::1',
    ],
  ];
  for (const [rule, lines, code, here, peer] of rows) {
    it(`what to write here and there about ${rule}`, () => {
      const [finding, ...more] = lintOf([...TIDY, ...lines]);
      expect(more).toEqual([]);
      expect([finding.code, finding.here?.[0], finding.peer?.[0]]).toEqual([code, here, peer]);
    });
  }

  it.each(['mssfix 0', 'mssfix 1300', 'mssfix 1300 mtu'])(
    'that fragment 1200 deserves a smaller mssfix than %s',
    (line) => {
      const codes = lintOf([...TIDY, 'fragment 1200', line]).map(({ code }) => code);
      expect(codes).toEqual(['CHECK_FRAGMENT', 'CHECK_MSSFIX']);
    },
  );

  const missing: readonly [
    rule: string,
    without: string,
    code: string,
    here: string | undefined,
    peer: string | undefined,
  ][] = [
    ['the key direction', 'key-direction 0', 'CHECK_KEY_DIRECTION', 'key-direction 0', 'key-direction 1'],
    ['keepalive', 'keepalive 10 60', 'CHECK_KEEPALIVE', 'keepalive 10 60', 'keepalive 10 60'],
    ['float', 'float', 'CHECK_FLOAT', 'float', undefined],
    ['remote', 'remote gw.example.net', 'CHECK_NO_REMOTE', undefined, undefined],
  ];
  for (const [rule, without, code, here, peer] of missing) {
    it(`that ${rule} is missing`, () => {
      const [finding, ...more] = lintOf(TIDY.filter((line) => line !== without));
      expect(more).toEqual([]);
      expect([finding.code, finding.here?.[0], finding.peer?.[0]]).toEqual([code, here, peer]);
    });
  }
});

describe('check says of several peers', () => {
  const files = (...lines: string[]): Files => ({
    'a.conf': ['dev tun', 'secret a', 'cipher AES-256-CBC', 'ifconfig 10.8.0.1 10.8.0.2', 'port 7', ...lines],
    'b.conf': ['dev tun', 'secret b', 'cipher AES-256-CBC', 'ifconfig 10.8.0.1 10.8.0.3', 'port 8', ...lines],
  });

  it('which of them a remark is about, and once what is the same for all', () => {
    const findings = lint(joined(files(...TIDY.filter((line) => !line.startsWith('keepalive')))));
    expect(findings.map(({ what, where }) => [what.split(':')[0], where?.file])).toEqual([
      ['a', 'a.conf'],
      ['b', 'b.conf'],
      ['OpenVPN 2.7 starts a static-key tunnel only when told to', undefined],
    ]);
  });

  it('nothing about `float` where it would make them alike', () => {
    const shared = files('key-direction 0', 'keepalive 10 60', 'auth SHA256', 'port 9');
    const both: Files = {
      'a.conf': [...shared['a.conf'], 'remote 192.0.2.1'],
      'b.conf': [...shared['b.conf'], 'remote 192.0.2.2'],
    };
    expect(lint(joined(both)).map(({ code }) => code)).toEqual(['CHECK_OPENVPN_27']);
  });
});

describe('check gives both ends their line for', () => {
  it('a missing cipher, and the way out when the peer cannot change', () => {
    const errors = errorsOf('dev tun\nsecret k\nifconfig 10.0.0.1 10.0.0.2');
    const [finding] = explain({ config: undefined, findings: { errors: [...errors], warnings: [] } });
    expect(finding).toMatchObject({
      severity: 'error',
      code: 'CONFIG_CIPHER_MISSING',
      here: ['cipher AES-256-CBC'],
      peer: ['cipher AES-256-CBC'],
    });
    expect(finding.fix).toContain('providers legacy default');
  });

  it('a weak cipher', () => {
    const { warnings } = gatewayOf(['cipher DES-EDE3-CBC']);
    const [finding] = explain({ config: undefined, findings: { ...noFindings(), warnings: [...warnings] } });
    expect(finding).toMatchObject({ severity: 'warning', peer: ['cipher AES-256-CBC'], where: { line: 5 } });
    expect(finding).not.toHaveProperty('fix');
  });
});
