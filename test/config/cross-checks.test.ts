import { describe, expect, it } from 'vitest';
import { parseGateway } from '../../src/config/load.ts';
import { BASE, codesOf, errorsOf, gatewayOf } from '../support/config.ts';

/** BASE with the lines of `changes` in place of those of the same name, or added. `-name` takes a line out. */
function changed(changes: readonly string[]): string {
  const names = new Set(changes.map((line) => line.replace(/^-/, '').split(' ')[0]));
  const kept = BASE.filter((line) => !names.has(line.split(' ')[0]));
  return [...kept, ...changes.filter((line) => !line.startsWith('-'))].join('\n');
}

describe('a config', () => {
  const rows: readonly [rule: string, changes: readonly string[], code: string, what: RegExp][] = [
    ['without device', ['-dev'], 'CONFIG_NO_DEVICE', /dev/],
    ['with dev null', ['dev null'], 'CONFIG_DEVICE', /null/],
    ['with a device of unknown type', ['dev vpn0'], 'CONFIG_DEVICE', /vpn0/],
    ['with a device name of 16 bytes', ['dev tun4567890123456'], 'CONFIG_DEVICE', /tun4567890123456/],
    ['with a slash in the device name', ['dev tun/0'], 'CONFIG_DEVICE', /tun\/0/],
    ['with a blank in the device name', ['dev "tun 0"'], 'CONFIG_DEVICE', /tun 0/],
    ['with a percent sign in the device name', ['dev tun%d'], 'CONFIG_DEVICE', /tun%d/],

    ['without secret', ['-secret'], 'CONFIG_NO_SECRET', /secret/],
    ['with an inline secret that never comes', ['secret [inline] 1'], 'CONFIG_NO_SECRET', /inline/],
    ['with key direction 2', ['key-direction 2'], 'CONFIG_ARGUMENT', /`2` is not one of 0, 1/],
    ['with key direction 2 behind secret', ['secret static.key 2'], 'CONFIG_ARGUMENT', /`2`/],
    ['without cipher', ['-cipher'], 'CONFIG_CIPHER_MISSING', /BF-CBC/],
    ['with BF-CBC and no legacy provider', ['cipher BF-CBC'], 'CONFIG_CIPHER_LEGACY', /BF-CBC/],
    ['with an AEAD cipher', ['cipher AES-256-GCM'], 'CONFIG_CIPHER', /AES-256-GCM/],
    ['with cipher NONE', ['cipher NONE'], 'CONFIG_CIPHER', /NONE/],
    ['with an unknown digest', ['auth SHA257'], 'CONFIG_AUTH', /SHA257/],
    ['with auth NULL', ['auth NULL'], 'CONFIG_AUTH', /NULL/],
    ['with the legacy provider alone', ['providers legacy'], 'CONFIG_PROVIDER', /default/],
    ['with replay-window 65537', ['replay-window 65537'], 'CONFIG_ARGUMENT', /0 to 65536/],
    ['with replay-window time 601', ['replay-window 64 601'], 'CONFIG_ARGUMENT', /0 to 600/],
    ['with no-replay and replay-window', ['no-replay', 'replay-window 10'], 'CONFIG_REPLAY', /no-replay/],
    ['with keysize', ['keysize 128'], 'CONFIG_REFUSED', /keysize/],

    ['with proto tcp', ['proto tcp'], 'CONFIG_PROTO_AMBIGUOUS', /tcp/],
    ['with a remote of proto tcp', ['remote gw.example.net 1194 tcp'], 'CONFIG_PROTO_AMBIGUOUS', /tcp/],
    ['with a TCP client that knows nobody', ['proto tcp-client'], 'CONFIG_TCP', /client without/],
    [
      'with a TCP server for two remotes',
      ['proto tcp-server', 'remote a.example', 'remote b.example'],
      'CONFIG_TCP',
      /more than one/,
    ],
    [
      'with a TCP server on any port',
      ['proto tcp-server', 'remote a', 'nobind'],
      'CONFIG_NOBIND',
      /tcp-server/,
    ],
    ['with fragment and TCP', ['proto tcp-server', 'fragment 1200'], 'CONFIG_TCP', /fragment/],
    ['with fragment and a TCP remote', ['remote a 1 tcp-client', 'fragment 1200'], 'CONFIG_TCP', /fragment/],
    ['with mtu-test and TCP', ['proto tcp-server', 'mtu-test'], 'CONFIG_TCP', /mtu-test/],
    ['with no remote left', ['remote a.example', 'proto-force tcp'], 'CONFIG_PROTO_FORCE', /proto-force/],
    [
      'with an IPv6 peer on tcp4-client',
      ['proto tcp4-client', 'remote fd00::1'],
      'CONFIG_FAMILY',
      /tcp4-client/,
    ],
    ['with another socket flag', ['socket-flags TCP_CORK'], 'CONFIG_ARGUMENT', /TCP_NODELAY/],
    ['with port 0', ['port 0'], 'CONFIG_ARGUMENT', /1 to 65535/],
    ['with port 70000', ['port 70000'], 'CONFIG_ARGUMENT', /1 to 65535/],
    ['with a port by an unknown name', ['port no-such-service'], 'CONFIG_ARGUMENT', /number/],
    ['with nobind and no remote', ['nobind'], 'CONFIG_NOBIND', /remote/],
    ['with nobind and lport', ['remote a.example', 'nobind', 'lport 1'], 'CONFIG_NOBIND', /lport/],
    ['with nobind and local', ['remote a.example', 'nobind', 'local 192.0.2.1'], 'CONFIG_NOBIND', /local/],
    ['with nobind and bind', ['remote a.example', 'nobind', 'bind'], 'CONFIG_NOBIND', /bind/],
    ['with itself as peer', ['remote 192.0.2.1', 'local 192.0.2.1'], 'CONFIG_REMOTE_IS_LOCAL', /remote/],
    ['with an inside address as peer', ['remote 10.254.0.2'], 'CONFIG_INSIDE_OUTSIDE', /10\.254\.0\.2/],
    ['with an inside address as local', ['local 10.254.0.1'], 'CONFIG_INSIDE_OUTSIDE', /10\.254\.0\.1/],
    ['with an IPv4 peer on udp6', ['proto udp6', 'remote 192.0.2.1'], 'CONFIG_FAMILY', /udp6/],
    ['with an IPv6 peer on udp4', ['proto udp4', 'remote fd00::1'], 'CONFIG_FAMILY', /udp4/],
    ['with a mistyped address as peer', ['remote 192.0.2.256'], 'CONFIG_ARGUMENT', /host name/],

    ['with an impatient keepalive', ['keepalive 10 19'], 'CONFIG_KEEPALIVE', /twice/],
    ['with keepalive and ping', ['keepalive 10 60', 'ping 5'], 'CONFIG_KEEPALIVE', /ping/],
    ['with keepalive and ping-exit', ['ping-exit 60', 'keepalive 10 60'], 'CONFIG_KEEPALIVE', /ping/],
    ['with keepalive 0', ['keepalive 0 60'], 'CONFIG_ARGUMENT', /1 to 86400/],

    ['with tun-mtu 99', ['tun-mtu 99'], 'CONFIG_ARGUMENT', /100 to/],
    ['with tun-mtu 70000', ['tun-mtu 70000'], 'CONFIG_ARGUMENT', /to 65402/],
    ['with link-mtu and tun-mtu', ['link-mtu 1400', 'tun-mtu 1400'], 'CONFIG_MTU', /tun-mtu/],
    ['with a link-mtu that leaves no packet', ['link-mtu 140'], 'CONFIG_MTU', /leaves/],
    ['with IPv6 and a small MTU', ['tun-mtu 1200', 'route-ipv6 fd01::/64'], 'CONFIG_MTU', /1280/],
    ['with mtu-disc perhaps', ['mtu-disc perhaps'], 'CONFIG_ARGUMENT', /yes, maybe, no/],
    ['with fragment 67', ['fragment 67'], 'CONFIG_ARGUMENT', /68 to/],
    ['with fragment 1200 foo', ['fragment 1200 foo'], 'CONFIG_ARGUMENT', /mtu/],
    [
      'with a fragment that holds nothing',
      ['fragment 68', 'auth SHA256'],
      'CONFIG_FRAGMENT',
      /leaves 0 bytes/,
    ],
    [
      'with a fragment too small for IPv6',
      ['fragment 100', 'auth SHA256', 'route-ipv6 fd01::/64'],
      'CONFIG_FRAGMENT',
      /leaves 1022 bytes/,
    ],
    [
      'with comp-lzo against allow-compression',
      ['comp-lzo', 'allow-compression no'],
      'CONFIG_COMPRESSION',
      /allow-compression no/,
    ],
    [
      'with compress lz4 against allow-compression',
      ['allow-compression no', 'compress lz4'],
      'CONFIG_COMPRESSION',
      /allow-compression no/,
    ],

    ['with one address for both ends', ['ifconfig 10.0.0.1 10.0.0.1'], 'CONFIG_IFCONFIG', /same/],
    ['with a netmask for the peer', ['ifconfig 10.0.0.1 255.255.255.0'], 'CONFIG_IFCONFIG', /netmask/],
    ['with a peer for the netmask', ['topology subnet'], 'CONFIG_NETMASK', /10\.254\.0\.2/],
    [
      'with the network as address',
      ['topology subnet', 'ifconfig 10.0.0.0 255.255.255.0'],
      'CONFIG_IFCONFIG',
      /network/,
    ],
    [
      'with the broadcast as address',
      ['topology subnet', 'ifconfig 10.0.0.255 255.255.255.0'],
      'CONFIG_IFCONFIG',
      /broadcast/,
    ],
    ['with a multicast address', ['ifconfig 224.0.0.1 10.0.0.2'], 'CONFIG_IFCONFIG', /224/],
    ['with a name as address', ['ifconfig gw-a 10.0.0.2'], 'CONFIG_ARGUMENT', /IPv4/],
    ['with topology foo', ['topology foo'], 'CONFIG_ARGUMENT', /net30, p2p, subnet/],
    ['with an IPv6 prefix of 48', ['ifconfig-ipv6 fd00::1/48 fd00::2'], 'CONFIG_IFCONFIG', /64 to 124/],
    ['with one IPv6 address for both', ['ifconfig-ipv6 fd00::1 fd00:0::1'], 'CONFIG_IFCONFIG', /same/],
    [
      'with an IPv4 address for IPv6',
      ['ifconfig-ipv6 10.0.0.1/64 fd00::2'],
      'CONFIG_IFCONFIG',
      /10\.0\.0\.1/,
    ],
    ['with lladdr on tun', ['lladdr 00:11:22:33:44:55'], 'CONFIG_DEVICE', /lladdr/],
    ['with bridge on tun', ['bridge br0'], 'CONFIG_DEVICE', /bridge/],

    ['with host bits in a route', ['route 10.1.1.0 255.255.0.0'], 'CONFIG_ROUTE', /behind the mask/],
    ['with holes in a netmask', ['route 10.1.0.0 255.0.255.0'], 'CONFIG_ROUTE', /not a netmask/],
    ['with a prefix length for a netmask', ['route 10.1.0.0/16'], 'CONFIG_ROUTE', /10\.1\.0\.0\/16/],
    ['with half an address in a route', ['route 10.1.0'], 'CONFIG_ROUTE', /10\.1\.0/],
    ['with `default` for the network of a route', ['route default 255.0.0.0'], 'CONFIG_ROUTE', /default/],
    ['with an unknown flag', ['redirect-gateway def1 foo'], 'CONFIG_ARGUMENT', /foo/],
    [
      'with a metric that is no number',
      ['route 10.1.0.0 255.255.0.0 default low'],
      'CONFIG_ARGUMENT',
      /metric/,
    ],
    ['with an IPv6 prefix of 129', ['route-ipv6 fd01::/129'], 'CONFIG_ROUTE', /129/],
    ['with route-gateway dhcp', ['route-gateway dhcp'], 'CONFIG_ROUTE', /dhcp/],

    ['with status-version 4', ['status-version 4'], 'CONFIG_ARGUMENT', /1, 2, 3/],
    ['with mode server', ['mode server'], 'CONFIG_TLS', /beside `secret`/],
    ['with a TLS directive', ['ca ca.pem'], 'CONFIG_TLS', /beside `secret`/],
    ['with `up` but without the right to run it', ['up /bin/true'], 'CONFIG_SCRIPT_SECURITY', /up/],
    [
      'with a script in several words',
      ['script-security 2', 'up /bin/true x'],
      'CONFIG_ARGUMENTS',
      /one argument/,
    ],
    [
      'with an open quote in a script',
      ['script-security 2', `up "/bin/true 'x"`],
      'CONFIG_OPEN_QUOTE',
      /in the command/,
    ],
    ['with a variable without a name', ['setenv "- -" x'], 'CONFIG_ARGUMENT', /name/],
    ['with two values for a variable', ['setenv X a b'], 'CONFIG_ARGUMENTS', /too many/],
    ['with a script level of 4', ['script-security 4'], 'CONFIG_ARGUMENT', /0 to 3/],
    ...[
      'management-client',
      'management-client-user nobody',
      'management-client-group nogroup',
      'management-hold',
      'management-log-cache 9',
      'management-query-remote',
      'management-query-proxy',
      'management-query-passwords',
      'management-signal',
      'management-forget-disconnect',
      'management-up-down',
    ].map((line): [string, string[], string, RegExp] => [
      `with ${line} but no management`,
      [line],
      'CONFIG_MANAGEMENT',
      /without `management`/,
    ]),
    ['with a management port of 0', ['management 127.0.0.1 0'], 'CONFIG_ARGUMENT', /not a port/],
    ['with a management port that is a word', ['management 127.0.0.1 http'], 'CONFIG_ARGUMENT', /not a port/],
    ['with a management address alone', ['management 127.0.0.1'], 'CONFIG_ARGUMENTS', /needs 2/],
    ['with a log cache of 0', ['management /m unix', 'management-log-cache 0'], 'CONFIG_ARGUMENT', /number/],
    [
      'with a user for the clients of a port',
      ['management 127.0.0.1 7505', 'management-client-user nobody'],
      'CONFIG_MANAGEMENT',
      /unix socket/,
    ],
    [
      'with a group for the clients of a port',
      ['management 127.0.0.1 7505', 'management-client-group nogroup'],
      'CONFIG_MANAGEMENT',
      /unix socket/,
    ],
    ['with management-external-key', ['management-external-key'], 'CONFIG_REFUSED', /cannot be used/],
    ['with management-client-pf', ['management-client-pf'], 'CONFIG_REFUSED', /cannot be used/],
    ['with two arguments for ping', ['ping 1 2'], 'CONFIG_ARGUMENTS', /too many/],
    ['with no argument for remote', ['remote'], 'CONFIG_ARGUMENTS', /needs/],
    ['with a block for route', ['<route>\n10.0.0.0\n</route>'], 'CONFIG_BLOCK', /route/],
  ];
  for (const [rule, changes, code, what] of rows) {
    it(`is refused ${rule}`, () => {
      const errors = errorsOf(changed(changes));
      expect(errors.map((error) => error.code)).toEqual([code]);
      expect(errors[0].what).toMatch(what);
      expect(errors[0].exitCode).toBe(2);
    });
  }

  it('is refused with all its errors, in the order of the lines', () => {
    const text =
      'port 0\ndev null\ncipher AES-256-GCM\nsecret k\nfoobar\nroute 10.1.1.0 255.255.0.0\nifconfig 1.2.3.4 5.6.7.8';
    expect(errorsOf(text).map(({ where }) => where?.line)).toEqual([1, 2, 3, 5, 6]);
  });

  it('is refused naming what both ends have to write when the cipher is missing', () => {
    const [error] = errorsOf(changed(['-cipher']));
    expect(error.fix).toContain('BOTH ends:\n    cipher AES-256-CBC');
    expect(error.fix).toContain('providers legacy default');
  });

  it('is refused with the corrected line when a route has host bits', () => {
    expect(errorsOf(changed(['route 10.1.1.0 255.255.0.0']))[0].fix).toBe('route 10.1.0.0 255.255.0.0');
  });

  it('has the bits behind the length of an IPv6 route cleared, as the kernel does', () => {
    const { peers, warnings } = gatewayOf(['route-ipv6 fd01::1/64']);
    const [{ routes }] = peers;
    expect(routes).toMatchObject([{ network: 'fd01::', prefixLength: 64 }]);
    expect(warnings.map(({ fix }) => fix)).toContain('route-ipv6 fd01::/64');
  });

  it('is refused as a TLS config in one error, without asking for secret and cipher', () => {
    const text = 'dev tun\nclient\nremote gw.example.net\nca ca.pem\n<cert>\nx\n</cert>\nmode server\n';
    expect(errorsOf(text)).toMatchObject([
      {
        code: 'CONFIG_TLS',
        what: 'this is a TLS config',
        where: { line: 2 },
        why: expect.stringContaining('client (line 2), ca (line 4), cert (line 5), mode (line 8)') as string,
      },
    ]);
  });
});

describe('an unknown directive', () => {
  it('is refused with its place and the nearest name', () => {
    const [error] = errorsOf(changed(['  keepalvie 10 60']));
    expect(error.where).toEqual({ file: 'peer.conf', line: 5, column: 3 });
    expect(error.fix).toBe('did you mean `keepalive`?');
  });

  it('does not make the one it stands for missing', () => {
    expect(codesOf(changed(['-cipher', 'chiper AES-256-CBC']))).toEqual(['CONFIG_UNKNOWN_DIRECTIVE']);
  });

  it('is a key when it looks like one', () => {
    expect(errorsOf('-----BEGIN OpenVPN Static key V1-----\n')[0].fix).toContain('<secret>');
  });

  const tolerated: readonly [string, readonly string[]][] = [
    ['ignore-unknown-option names it first', ['ignore-unknown-option foo foobar', 'foobar 1']],
    ['setenv opt stands before it', ['setenv opt foobar 1']],
    ['setenv FORWARD_COMPATIBLE 1 was seen', ['setenv FORWARD_COMPATIBLE 1', 'foobar']],
  ];
  for (const [when, lines] of tolerated) {
    it(`is a warning when ${when}`, () => {
      expect(gatewayOf(lines).warnings.map(({ code }) => code)).toEqual(['CONFIG_UNKNOWN_DIRECTIVE']);
    });
  }

  it('may as well be a known one with too many arguments', () => {
    expect(gatewayOf(['setenv FORWARD_COMPATIBLE 1', 'ping 1 2']).warnings.map(({ code }) => code)).toEqual([
      'CONFIG_ARGUMENTS',
    ]);
  });

  it('is refused when ignore-unknown-option comes too late', () => {
    expect(codesOf(changed(['foobar', 'ignore-unknown-option foobar']))).toEqual([
      'CONFIG_UNKNOWN_DIRECTIVE',
    ]);
  });
});

describe('a warning', () => {
  const rows: readonly [rule: string, changes: readonly string[], codes: readonly string[]][] = [
    ['for cipher none', ['cipher none'], ['CONFIG_CIPHER_NONE']],
    ['for auth none', ['auth none'], ['CONFIG_AUTH_NONE']],
    ['for a 64-bit block cipher', ['cipher DES-EDE3-CBC'], ['CONFIG_CIPHER_SWEET32']],
    [
      'for BF-CBC with the legacy provider',
      ['-cipher', 'providers legacy default'],
      ['CONFIG_CIPHER_SWEET32'],
    ],
    ['for no-replay', ['no-replay'], ['CONFIG_NO_REPLAY']],
    ['for comp-lzo that may compress', ['comp-lzo'], ['CONFIG_DECOMPRESS_ONLY']],
    ['for compress lzo', ['compress lzo'], ['CONFIG_DECOMPRESS_ONLY']],
    ['for compress lz4', ['compress lz4'], ['CONFIG_DECOMPRESS_ONLY']],
    ['for compress lz4-v2', ['compress lz4-v2'], ['CONFIG_DECOMPRESS_ONLY']],
    ['for a fragment too small for the MTU', ['fragment 100', 'auth SHA256'], ['CONFIG_FRAGMENT']],
    ['for allow-compression yes', ['allow-compression yes'], ['CONFIG_NO_EFFECT']],
    ['for ping alone', ['ping 10'], ['CONFIG_PING_ONLY']],
    ['for link-mtu', ['link-mtu 1400'], ['CONFIG_LINK_MTU']],
    ['for a device without address', ['-ifconfig'], ['CONFIG_NO_ADDRESS']],
    [
      'for a route twice',
      ['route 10.1.0.0 255.255.0.0', 'route 10.1.0.0 255.255.0.0'],
      ['CONFIG_ROUTE_TWICE'],
    ],
    ['for a route over the peer', ['remote 10.1.2.3', 'route 10.1.0.0 255.255.0.0'], ['CONFIG_ROUTE_LOOP']],
    ['for a default route', ['remote 192.0.2.1', 'route 0.0.0.0 0.0.0.0'], ['CONFIG_ROUTE_LOOP']],
    [
      'for a route without gateway',
      ['topology subnet', 'ifconfig 10.0.0.1 255.255.255.0', 'route 10.1.0.0 255.255.0.0'],
      ['CONFIG_ROUTE_GATEWAY'],
    ],
    ['for a Windows directive', ['block-outside-dns'], ['CONFIG_NO_EFFECT']],
    ['for a management port without a password', ['management 127.0.0.1 7505'], ['CONFIG_MANAGEMENT_OPEN']],
    ['not for a management socket', ['management /run/m unix', 'management-client-user nobody'], []],
    ['not for a management port with a password', ['management 127.0.0.1 7505 pw'], []],
    [
      'for scripts that are not run, as stock leaves them out',
      ['down /bin/true', 'route-up /bin/true', 'ipchange /bin/true'],
      ['CONFIG_SCRIPT_SECURITY', 'CONFIG_SCRIPT_SECURITY', 'CONFIG_SCRIPT_SECURITY'],
    ],
    ['for flags that are for Windows', ['redirect-gateway def1 bypass-dhcp'], ['CONFIG_NO_EFFECT']],
    ['for a wrong argument count behind setenv opt', ['setenv opt ping 1 2'], ['CONFIG_ARGUMENTS']],
  ];
  for (const [rule, changes, codes] of rows) {
    it(`is given ${rule}`, () => {
      const { config } = parseGateway([{ text: changed(changes), file: 'peer.conf' }]);
      expect(config.warnings.filter((each) => each.severity === 'warning').map((each) => each.code)).toEqual(
        codes,
      );
    });
  }

  const silent: readonly [string, readonly string[]][] = [
    ['comp-lzo no', ['comp-lzo no', 'allow-compression no']],
    [
      'both spellings of the 2.7 permission',
      ['allow-deprecated-insecure-static-crypto', 'setenv opt allow-deprecated-insecure-static-crypto'],
    ],
    ['what pfSense writes', ['data-ciphers AES-256-GCM', 'persist-tun', 'persist-key', 'persist-local-ip']],
    ['a default replay-window beside no-replay', ['replay-window 64 15']],
  ];
  it('is a remark, for `check` only, where nobody can have counted on a line without effect', () => {
    const [remark] = gatewayOf(['fast-io']).warnings;
    expect(remark).toMatchObject({
      severity: 'remark',
      code: 'CONFIG_NO_EFFECT',
      where: { line: 5, column: 1 },
    });
  });

  for (const [rule, lines] of silent) {
    it(`is not given for ${rule}`, () => {
      const warnings = gatewayOf(lines).warnings.filter(({ severity }) => severity === 'warning');
      expect(warnings).toEqual([]);
    });
  }
});
