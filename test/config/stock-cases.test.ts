import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { errorsOf } from '../support/config.ts';

interface ConfigCase {
  readonly config: string;
  readonly running_after_1s: boolean;
}

interface DirectiveCase {
  readonly directive: string;
  readonly running: boolean;
}

function load<T>(name: string): T[] {
  const file = new URL(`../behaviour/${name}`, import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { cases: T[] }).cases;
}

/** Stock was asked with `dev null`, which needs no privilege; tsvpn has no tunnel without a device. */
function withDevice(config: string): string {
  return config
    .replace(/^(\s*(?:--)?dev\s+)null(?![#])/m, '$1tun')
    .replace(/^dev-type null/m, 'dev-type tun')
    .replace(/^config sub\.conf\n/m, '');
}

const NUMBERS = 'a number is a number; stock reads `abc` as 0';
const NAMES = 'the kernel would refuse the device name; with `dev null` stock never asked it';

/** Where tsvpn and stock differ on purpose, by a line of the config. */
const CONFIG_DIFFERENCES: Readonly<Record<string, string>> = {
  'dev "a b"': NAMES,
  "dev 'a b'": NAMES,
  'dev a\\ b': NAMES,
  'dev ""': NAMES,
  'ping abc': NUMBERS,
  'verb 4x': NUMBERS,
  'user nosuchuser': 'users are looked up when the tunnel starts, which is refused then',
  'ifconfig-ipv6 fd00::1 fd00::2': 'stock stopped at the missing device, not at the line',
};

describe('configs stock 2.6.14 was asked about', () => {
  for (const { config, running_after_1s: accepted } of load<ConfigCase>('config-cases.json')) {
    const reason = config.split('\n').flatMap((line) => CONFIG_DIFFERENCES[line] ?? [])[0];
    const title = JSON.stringify(config.replace(/^verb 4\n/, '').slice(0, 90));
    const verdict = accepted !== (reason !== undefined) ? 'accepts' : 'refuses';
    it(`${verdict} ${title}${reason === undefined ? ', as stock' : `: ${reason}`}`, () => {
      const errors = errorsOf(withDevice(config));
      expect(errors.length === 0 ? 'accepts' : 'refuses').toBe(verdict);
      for (const error of errors) expect(error.why ?? error.fix, error.what).toBeTruthy();
    });
  }
});

const WRONG_MODE = 'whoever writes it wants TLS mode; stock ignores it';
const WINDOWS = 'a config from Windows works; stock on Linux does not know it';
const NEWER = 'known from OpenVPN 2.7 or other builds; stock 2.6 does not know it';
const HARMLESS = 'it changes nothing here';
const PROXY = 'tsvpn supports no proxies';

/** Where tsvpn and stock differ on purpose, by the directive's name, or name and arguments. */
const DIRECTIVE_DIFFERENCES: Readonly<Record<string, string>> = {
  'tls-version-min': WRONG_MODE,
  'tls-version-max': WRONG_MODE,
  'tls-groups': WRONG_MODE,
  'ecdh-curve': WRONG_MODE,
  'tls-crypt-v2-verify': WRONG_MODE,
  'x509-track': WRONG_MODE,
  'x509-username-field': WRONG_MODE,
  'keying-material-exporter': WRONG_MODE,
  'static-challenge': WRONG_MODE,
  'auth-gen-token-secret': WRONG_MODE,
  'tls-timeout 2': WRONG_MODE,
  'reneg-sec 3600': WRONG_MODE,
  'verify-client-cert require': WRONG_MODE,
  [`peer-fingerprint ${Array(32).fill('AB').join(':')}`]: WRONG_MODE,
  [`verify-hash ${Array(32).fill('AB').join(':')} SHA256`]: WRONG_MODE,
  'http-proxy-retry': PROXY,
  'http-proxy-timeout': PROXY,
  'ip-win32': WINDOWS,
  'register-dns': WINDOWS,
  'block-outside-dns': WINDOWS,
  'show-net-up': WINDOWS,
  'windows-driver': WINDOWS,
  'pause-exit': WINDOWS,
  service: WINDOWS,
  iproute: NEWER,
  setcon: NEWER,
  'use-prediction-resistance': NEWER,
  'allow-deprecated-insecure-static-crypto': NEWER,
  'dns-updown': NEWER,
  'route-table': NEWER,
  'override-username': NEWER,
  'remote-ip-hint': 'another spelling of ip-remote-hint, which stock 2.6 has',
  'data-ciphers FOO': HARMLESS,
  mlock: 'stock was not allowed to',
  gremlin: 'it damages packets on purpose',
  'route-gateway dhcp': 'a static-key tunnel has no DHCP server',
  'client-to-client': 'tsvpn forwards between peers without TLS',
};

describe('directives stock 2.6.14 was asked about', () => {
  const cases = load<DirectiveCase>('directive-acceptance.json');
  for (const { directive, running } of cases) {
    const reason = DIRECTIVE_DIFFERENCES[directive] ?? DIRECTIVE_DIFFERENCES[directive.split(' ')[0]];
    const verdict = running !== (reason !== undefined) ? 'accepts' : 'refuses';
    it(`${verdict} ${directive}${reason === undefined ? ', as stock' : `: ${reason}`}`, () => {
      const text = `dev tun\nsecret k1.key\nverb 3\ncipher AES-256-CBC\n${directive}\n`;
      const errors = errorsOf(text);
      expect(errors.length === 0 ? 'accepts' : 'refuses').toBe(verdict);
      for (const error of errors) {
        expect(error.why ?? error.fix, error.what).toBeTruthy();
        expect(error.where).toMatchObject({ file: 'peer.conf', line: 5 });
      }
    });
  }

  it('knows every one of them by name', () => {
    for (const { directive } of cases) {
      const codes = errorsOf(`${directive}\n`).map(({ code }) => code);
      expect(codes, directive).not.toContain('CONFIG_UNKNOWN_DIRECTIVE');
    }
  });
});
