/** What is wrong between peers that are all right each. */
import { describe, expect, it } from 'vitest';
import { errorsOfFiles, joined } from '../support/config.ts';
import type { Files } from '../support/config.ts';

/** Peer `number`, with its lines from line 6 on. */
function peer(number: number, ...lines: string[]): string[] {
  const own = lines.map((line) => line.split(' ')[0]);
  const defaults = [`port ${2000 + number}`, `ifconfig 10.8.0.1 10.8.0.${number}`];
  return [
    'dev tun',
    `secret ${number}.key`,
    'cipher AES-256-CBC',
    ...defaults.map((line) => (own.includes(line.split(' ')[0]) ? '' : line)),
    ...lines,
  ];
}

const pair = (a: readonly string[], b: readonly string[]): Files => ({
  'a.conf': peer(2, ...a),
  'b.conf': peer(3, ...b),
});

describe('peers are refused', () => {
  const rows: readonly [
    rule: string,
    files: Files,
    code: string,
    what: RegExp,
    /** The line in b.conf, and the one in a.conf that `why` names. */
    lines: readonly [number, number],
  ][] = [
    [
      'that both wait for whoever sends, on one port',
      pair(['port 1194'], ['port 1194']),
      'CONFIG_SAME_SOCKET',
      /a and b cannot be told apart: both listen on all addresses, port 1194/,
      [6, 6],
    ],
    [
      'that are both TCP servers on one port, whoever calls',
      pair(
        ['proto tcp-server', 'port 7', 'remote 192.0.2.1'],
        ['proto tcp-server', 'port 7', 'remote 192.0.2.2'],
      ),
      'CONFIG_SAME_SOCKET',
      /told apart/,
      [7, 7],
    ],
    [
      'of which one waits for whoever sends',
      pair(['port 7', 'remote 192.0.2.1'], ['port 7']),
      'CONFIG_SAME_SOCKET',
      /told apart/,
      [6, 6],
    ],
    [
      'of which one floats',
      pair(['lport 7', 'remote 192.0.2.1', 'float'], ['lport 7', 'remote 192.0.2.2']),
      'CONFIG_SAME_SOCKET',
      /told apart/,
      [6, 6],
    ],
    [
      'with the same remote on one port',
      pair(['port 7', 'remote 192.0.2.1'], ['port 7', 'remote 192.0.2.9', 'remote 192.0.2.1']),
      'CONFIG_SAME_SOCKET',
      /told apart/,
      [6, 6],
    ],
    [
      'of which one listens on all addresses and the other on one, with the same port',
      pair(['port 7', 'remote 192.0.2.1'], ['port 7', 'remote 192.0.2.2', 'local 192.0.2.7']),
      'CONFIG_SAME_SOCKET',
      /told apart/,
      [6, 6],
    ],
    [
      'that share a socket and want it different',
      pair(['port 7', 'remote 192.0.2.1', 'mark 1'], ['port 7', 'remote 192.0.2.2', 'mark 2']),
      'CONFIG_SAME_SOCKET',
      /a and b share a socket, but not its `mark`/,
      [8, 8],
    ],
    [
      'with one name',
      pair(['setenv opt name x'], ['setenv opt name x']),
      'CONFIG_PEER_NAME',
      /two peers are called x/,
      [6, 6],
    ],
    [
      'with one address',
      pair(['ifconfig 10.8.0.1 10.8.0.9'], ['ifconfig 10.8.0.1 10.8.0.9']),
      'CONFIG_ADDRESSES',
      /a and b have the same address 10\.8\.0\.9/,
      [6, 6],
    ],
    [
      'of which one has an address of this end',
      pair(['ifconfig 10.8.0.1 10.8.0.5'], ['ifconfig 10.8.0.2 10.8.0.1']),
      'CONFIG_ADDRESSES',
      /10\.8\.0\.1 is both this end's address and that of b/,
      [6, 6],
    ],
    [
      'that give this end two masks',
      pair(
        ['topology subnet', 'ifconfig 10.9.0.1 255.255.255.0', 'peer-address 10.9.0.2'],
        ['topology subnet', 'ifconfig 10.9.0.1 255.255.0.0', 'peer-address 10.9.0.3'],
      ),
      'CONFIG_ADDRESSES',
      /10\.9\.0\.1 has two masks: \/24 and \/16/,
      [7, 7],
    ],
    [
      'that give this end two IPv6 lengths',
      pair(['ifconfig-ipv6 fd00::1/64 fd00::2'], ['ifconfig-ipv6 fd00::1/112 fd00::3']),
      'CONFIG_ADDRESSES',
      /fd00::1 has two masks/,
      [6, 6],
    ],
    [
      'behind both of which lies one network at one metric',
      pair(['route 10.1.0.0 255.255.0.0'], ['peer-route 10.1.0.0/16']),
      'CONFIG_SAME_PREFIX',
      /10\.1\.0\.0\/16 leads to both a and b/,
      [6, 6],
    ],
    [
      'behind both of which lies the network of the device',
      pair(
        ['topology subnet', 'ifconfig 10.9.0.1 255.255.255.0'],
        ['topology subnet', 'ifconfig 10.9.0.1 255.255.255.0'],
      ),
      'CONFIG_SAME_PREFIX',
      /10\.9\.0\.0\/24 leads to both a and b/,
      [7, 7],
    ],
    [
      'one of which has a network that is refused',
      pair(['blackhole 10.1.0.0/16'], ['peer-route 10.1.0.0/16']),
      'CONFIG_SAME_PREFIX',
      /leads to both b and blackhole/,
      [-6, 6],
    ],
  ];
  for (const [rule, files, code, what, [line, other]] of rows) {
    it(`two ${rule}`, () => {
      const errors = errorsOfFiles(files);
      expect(errors.map((error) => error.code)).toEqual([code]);
      const [{ where, why, what: text, fix }] = errors;
      expect(text).toMatch(what);
      const [here, there] = line < 0 ? ['a', 'b'] : ['b', 'a'];
      expect(where).toMatchObject({ file: `${here}.conf`, line: Math.abs(line) });
      expect(why).toContain(`${there}.conf:${other}:1`);
      expect(fix).toBeTruthy();
    });
  }
});

describe('peers are joined', () => {
  const rows: readonly [rule: string, files: Files][] = [
    ['on ports of their own', pair([], [])],
    ['on one port with known remotes', pair(['port 7', 'remote 192.0.2.1'], ['port 7', 'remote 192.0.2.2'])],
    [
      'on one port with one remote address and two ports',
      pair(['lport 7', 'remote 192.0.2.1 1'], ['lport 7', 'remote 192.0.2.1 2']),
    ],
    ['on one port of two addresses', pair(['port 7', 'local 192.0.2.1'], ['port 7', 'local 192.0.2.2'])],
    ['on one port of two devices', pair(['port 7', 'bind-dev eth0'], ['port 7', 'bind-dev eth1'])],
    [
      'without fixed ports, also towards one remote',
      pair(['port 7', 'nobind', 'remote 192.0.2.1 7'], ['port 7', 'nobind', 'remote 192.0.2.1 7']),
    ],
    ['with ports the kernel chooses', pair(['lport 0'], ['lport 0'])],
    [
      'that are backups of each other',
      pair(['peer-route 10.1.0.0/16'], ['peer-route 10.1.0.0/16 metric 10']),
    ],
    ['of which one has a part of the other', pair(['peer-route 10.1.0.0/16'], ['peer-route 10.1.2.0/24'])],
    [
      'with IPv6 addresses in one network',
      pair(['ifconfig-ipv6 fd00::1/64 fd00::2'], ['ifconfig-ipv6 fd00::1/64 fd00::3']),
    ],
    [
      'that translate to the same networks on the wire',
      pair(
        ['client-nat dnat 10.1.0.0/16 10.0.0.0', 'peer-route 10.1.0.0/16'],
        ['client-nat dnat 10.2.0.0/16 10.0.0.0', 'peer-route 10.2.0.0/16'],
      ),
    ],
  ];
  for (const [rule, files] of rows) {
    it(`two ${rule}`, () => {
      const { peers, warnings } = joined(files);
      expect([peers.length, warnings]).toEqual([2, []]);
    });
  }

  it('once as many as there are, with one fault for each that clashes', () => {
    const files = Object.fromEntries([2, 3, 4].map((n) => [`${n}.conf`, peer(n, 'port 1194')]));
    expect(errorsOfFiles(files).map(({ where }) => where?.file)).toEqual(['3.conf', '4.conf']);
  });
});

describe('check warns', () => {
  const rows: readonly [rule: string, files: Files, code: string, line: number, what: RegExp][] = [
    [
      'client-to-client with one peer',
      { 'a.conf': peer(2, 'client-to-client') },
      'CONFIG_NO_EFFECT',
      6,
      /there is one peer/,
    ],
    [
      "a peer-route over the peer's own address",
      { 'a.conf': peer(2, 'remote 10.1.2.3', 'peer-route 10.1.0.0/16') },
      'CONFIG_ROUTE_LOOP',
      7,
      /10\.1\.0\.0\/16 covers the outer address 10\.1\.2\.3 of a/,
    ],
    [
      "a route over another peer's address",
      pair(['route 10.1.0.0 255.255.0.0'], ['remote 10.1.2.3']),
      'CONFIG_ROUTE_LOOP',
      6,
      /of b/,
    ],
    [
      'the same peer-route twice',
      { 'a.conf': peer(2, 'peer-route 10.1.0.0/16', 'peer-route 10.1.0.0 255.255.0.0') },
      'CONFIG_ROUTE_TWICE',
      7,
      /twice/,
    ],
    [
      'a peer with nothing behind it',
      { 'a.conf': peer(2, '<peer>', 'name b', 'secret b', 'lport 7', '</peer>') },
      'CONFIG_NOTHING_BEHIND',
      6,
      /nothing leads to b/,
    ],
    [
      'a device that some files leave alone',
      pair(['ifconfig-noexec'], []),
      'CONFIG_CONTRADICTION',
      6,
      /some of the files/,
    ],
    [
      'a network only a netmap knows',
      pair(['client-nat dnat 10.1.0.0/16 10.0.0.0'], []),
      'CONFIG_NETMAP_ROUTE',
      6,
      /nothing leads to 10\.1\.0\.0\/16 at a/,
    ],
  ];
  for (const [rule, files, code, line, what] of rows) {
    it(`of ${rule}`, () => {
      const { warnings } = joined(files);
      expect(warnings.map((warning) => [warning.code, warning.where.file, warning.where.line])).toEqual([
        [code, 'a.conf', line],
      ]);
      expect(warnings[0].what).toMatch(what);
    });
  }

  const covered: readonly [first: string, second: string][] = [
    ['nat snat 10.0.0.0/8 out eth1 masquerade', 'nat snat 10.8.0.0/24 out eth1 to 172.16.0.9'],
    ['nat snat 10.0.0.0/8 out eth1 masquerade', 'nat none 10.8.0.0/24 dst 172.16.5.0/24'],
    ['nat none 10.0.0.0/8', 'nat snat 10.8.0.0/24 into tunnel'],
    ['nat none 10.0.0.0/8', 'nat dnat from peers src 10.8.0.0/24 to 10.1.0.1'],
    ['nat snat 10.0.0.0/8 into tunnel', 'nat snat 10.8.0.0/24 into tunnel peer a tcp dport 80'],
    ['nat dnat from peers to 10.1.0.1', 'nat dnat from peer a tcp dport 80 to 10.1.0.2:80'],
    ['nat dnat in eth0 tcp dport 1-99 to 10.1.0.1', 'nat dnat in eth0 tcp dport 80 to 10.1.0.2'],
  ];
  for (const [first, second] of covered) {
    it(`of \`${second}\` behind \`${first}\``, () => {
      const { warnings } = joined({ 'a.conf': peer(2, first, second) });
      expect(warnings.map(({ code, where }) => [code, where.line])).toEqual([['CONFIG_NAT_COVERED', 7]]);
      expect(warnings[0].why).toContain('a.conf:6:1');
    });
  }

  it('not of an exemption that later rules may need', () => {
    const { warnings } = joined({
      'a.conf': peer(
        2,
        'nat snat 10.0.0.0/8 out eth1 masquerade',
        'nat none 10.8.0.0/24',
        'nat snat 10.0.0.0/8 out eth2 masquerade',
      ),
    });
    expect(warnings).toEqual([]);
  });

  const apart: readonly [first: string, second: string][] = [
    ['nat snat 10.8.0.0/24 out eth1 masquerade', 'nat snat 10.0.0.0/8 out eth1 masquerade'],
    ['nat snat 10.0.0.0/8 out eth1 masquerade', 'nat snat 10.0.0.0/8 out eth2 masquerade'],
    ['nat snat 10.0.0.0/8 out eth1 masquerade tcp', 'nat snat 10.0.0.0/8 out eth1 masquerade'],
    ['nat snat 10.0.0.0/8 out eth1 masquerade dst 10.1.0.0/16', 'nat snat 10.0.0.0/8 out eth1 masquerade'],
    ['nat snat 10.0.0.0/8 into tunnel peer a', 'nat snat 10.0.0.0/8 into tunnel'],
    ['nat dnat in eth0 tcp dport 80 to 10.1.0.1', 'nat dnat in eth0 tcp dport 80-81 to 10.1.0.1'],
    ['nat dnat from peer a to 10.1.0.1', 'nat dnat from peers to 10.1.0.1'],
  ];
  for (const [first, second] of apart) {
    it(`not of \`${second}\` behind \`${first}\``, () => {
      expect(joined({ 'a.conf': peer(2, first, second) }).warnings).toEqual([]);
    });
  }
});
