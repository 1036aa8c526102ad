import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lint } from '../../src/config/explain.ts';
import { loadGateway, parseGateway } from '../../src/config/load.ts';
import { FLAVOURS, writePair } from '../../src/config/mirror.ts';
import { protocolsOf } from '../../src/config/protocols.ts';
import type { PairOptions, Site } from '../../src/config/mirror.ts';
import { OperatorErrors } from '../../src/errors.ts';
import { staticKeyText } from '../support/keys.ts';
import { PATIENCE_MS } from '../support/process.ts';
import { tempDir } from '../support/temp-dir.ts';
import { noStock } from '../support/stock.ts';

const SITE_A: Site = {
  name: 'site-a',
  flavour: 'tsvpn',
  address: 'a.example.net',
  tunnelAddress: '10.254.0.1',
  networks: ['10.0.0.0/16', 'fd00:a::/48'],
};
const SITE_B: Site = {
  name: 'site-b',
  flavour: 'openvpn-2.6',
  address: undefined,
  tunnelAddress: '10.254.0.2',
  networks: ['10.1.0.0/16', '192.168.7.0/24'],
};

function options(a: Partial<Site> = {}, b: Partial<Site> = {}): PairOptions {
  return {
    a: { ...SITE_A, ...a },
    b: { ...SITE_B, ...b },
    port: 1194,
    protocol: 'udp',
    keyText: staticKeyText(),
  };
}

function configsOf(pair: PairOptions) {
  const { a, b } = writePair(pair);
  const read = (text: string, file: string) => parseGateway([{ text, file }]).config.peers[0];
  return { a: read(a, 'a.conf'), b: read(b, 'b.conf') };
}

describe('a pair of configs', () => {
  it('sees one tunnel from both ends', () => {
    const { a, b } = configsOf(options());
    expect(a.device.address).toEqual({ kind: 'p2p', local: '10.254.0.1', remote: '10.254.0.2' });
    expect(b.device.address).toEqual({ kind: 'p2p', local: '10.254.0.2', remote: '10.254.0.1' });
    expect([a.device.address6?.local, a.device.address6?.remote]).toEqual([
      b.device.address6?.remote,
      b.device.address6?.local,
    ]);
    expect([a.key.direction, b.key.direction]).toEqual([0, 1]);
    expect([a.cipher, a.digest, a.timers]).toEqual([b.cipher, b.digest, b.timers]);
  });

  it('keeps the key, by a line where the version does not do so unasked', () => {
    const { a, b } = writePair(options({ flavour: 'openvpn-2.7' }));
    expect([a, b].map((text) => text.includes('persist-key'))).toEqual([false, true]);
  });

  it('routes the networks of the other end', () => {
    const { a, b } = configsOf(options());
    const routes = (config: typeof a) =>
      config.routes.map(({ network, prefixLength }) => `${network}/${prefixLength}`);
    expect(routes(a)).toEqual(SITE_B.networks);
    expect(routes(b)).toEqual(SITE_A.networks);
  });

  it.each([
    ['both have an address', 'a.example.net', 'b.example.net', ['tcp-server', 'tcp-client'], 'a.example.net'],
    ['only b has', undefined, 'b.example.net', ['tcp-client', 'tcp-server'], 'b.example.net'],
    ['the server has one of IPv6', '2001:db8::1', undefined, ['tcp-server', 'tcp-client'], '2001:db8::1'],
  ])('makes the first end with an address the TCP server: %s', (_, a, b, protocols, server) => {
    const pair = configsOf({ ...options({ address: a }, { address: b }), protocol: 'tcp' });
    const ends = [pair.a, pair.b];
    expect(ends.flatMap(({ transport }) => protocolsOf(transport))).toEqual(protocols);
    expect(ends.flatMap(({ transport }) => transport.remotes.map(({ host }) => host))).toEqual([server]);
  });

  it('lets the end wait that cannot reach the other', () => {
    const { a, b } = configsOf(options());
    expect(a.transport.remotes).toEqual([]);
    expect(b.transport.remotes[0]).toMatchObject({ host: 'a.example.net', port: 1194 });
  });

  it('lets a waiting end with an IPv6 address listen on IPv6', () => {
    const { a } = configsOf(options({ address: '2001:db8::1' }));
    expect(a.transport.family).toBe('ipv6');
  });

  for (const flavour of FLAVOURS) {
    it(`loads for ${flavour} without a warning, and check has no more to say`, () => {
      const dir = tempDir();
      const { a, b } = writePair(options({ flavour }, { flavour }));
      for (const [name, text] of Object.entries({ a, b })) {
        writeFileSync(join(dir, `${name}.conf`), text, { mode: 0o600 });
        const { config } = loadGateway([`${name}.conf`], { cwd: dir });
        expect(config.warnings).toEqual([]);
        const codes = lint(config).map(({ code }) => code);
        expect(codes.filter((code) => !['CHECK_OPENVPN_27', 'CHECK_NO_REMOTE'].includes(code))).toEqual([]);
      }
    });
  }

  it('permits static keys to OpenVPN 2.7, in the words 2.6 understands', () => {
    const line = 'setenv opt allow-deprecated-insecure-static-crypto\n';
    const { a, b } = writePair(options({}, { flavour: 'openvpn-2.7' }));
    expect([a.includes(line), b.includes(line)]).toEqual([false, true]);
  });
});

describe('a pair', () => {
  const rows: readonly [rule: string, a: Partial<Site>, b: Partial<Site>, what: RegExp][] = [
    ['when neither end can be reached', { address: undefined }, {}, /neither site/],
    ['when both have one tunnel address', {}, { tunnelAddress: '10.254.0.1' }, /same tunnel address/],
    ['when their networks overlap', { networks: ['10.0.0.0/8'] }, {}, /overlap/],
    ['when a network has host bits', { networks: ['10.0.1.0/16'] }, {}, /behind its length/],
    ['when a network is none', { networks: ['site'] }, {}, /not a network/],
    ['when a prefix is too long', { networks: ['10.0.0.0/33'] }, {}, /not a network/],
    ['when a tunnel address lies in a network', { tunnelAddress: '10.1.0.1' }, {}, /lies in 10\.1\.0\.0\/16/],
    ['when a tunnel address is none', { tunnelAddress: 'a' }, {}, /not an IPv4 address/],
    [
      'when addresses are of two families',
      { address: '192.0.2.1' },
      { address: 'fd00::1' },
      /different families/,
    ],
    ['when an address could break out of its line', { address: 'a b' }, {}, /not a host name/],
    ['when a name could leave its directory', { name: '../a' }, {}, /cannot name a site/],
  ];
  for (const [rule, a, b, what] of rows) {
    it(`is refused ${rule}`, () => {
      expect(() => writePair(options(a, b))).toThrow(OperatorErrors);
      expect(() => writePair(options(a, b))).toThrow(what);
    });
  }

  it('is refused when the port is none', () => {
    expect(() => writePair({ ...options(), port: 70_000 })).toThrow(/not a port/);
  });
});

const obstacle = noStock();
describe(`stock OpenVPN${obstacle === undefined ? '' : ` (left out: ${obstacle})`}`, () => {
  // Those for 2.4 and tsvpn differ from that for 2.6 in a comment only.
  for (const flavour of ['openvpn-2.6', 'openvpn-2.7'] as const) {
    it.skipIf(obstacle !== undefined)(`starts with both configs of a pair for ${flavour}`, () => {
      const dir = tempDir();
      const { a, b } = writePair(options({ flavour }, { flavour, address: '127.0.0.2' }));
      for (const text of [a, b.replace('a.example.net', '127.0.0.1')]) {
        writeFileSync(join(dir, 'peer.conf'), text, { mode: 0o600 });
        // No device, and an end after the first second: the config is read, the key used, the socket opened.
        const overrides = ['--dev', 'null', '--ifconfig-noexec', '--route-noexec', '--inactive', '1'];
        const argv = ['--net', 'openvpn', '--config', 'peer.conf', ...overrides];
        const log = execFileSync('unshare', argv, { cwd: dir, encoding: 'utf8', timeout: PATIENCE_MS });
        expect(log).toContain('Inactivity timeout (--inactive), exiting');
        expect(log).not.toMatch(/Options error|Unrecognized option(?!.*allow-deprecated)/);
      }
    });
  }
});
