/** `<connection>` blocks with settings of their own, next to stock. */
import { expect, it } from 'vitest';
import { TSVPN } from '../support/gateway.ts';
import { hubStatus, startStar, type Spoke } from '../support/star.ts';
import { OUTER, useLink } from '../support/topology.ts';
import { expectPing, expectPingWithin } from '../support/traffic.ts';
import { completed, nextNumber, restart, startTunnel, stopTunnel } from '../support/tunnel.ts';

const link = useLink();

const pairs = [
  { title: 'tsvpn listens, stock calls', listener: TSVPN, caller: 'openvpn' },
  { title: 'stock listens, tsvpn calls', listener: 'openvpn', caller: TSVPN },
] as const;

const seconds = [
  { protocol: 'udp', word: 'udp', local: 'UDPv4 link local: (not bound)' },
  { protocol: 'tcp', word: 'tcp-client', local: 'TCPv4_CLIENT link local: (not bound)' },
] as const;

for (const { title, listener, caller } of pairs) {
  it.concurrent.each(seconds)(
    `goes on to the second block, with its port, protocol and nobind: ${title}, $protocol`,
    async ({ protocol, word, local }) => {
      const number = nextNumber(link);
      const port = 2000 + number;
      const lport = 3000 + number;
      const silent = ['remote 192.0.2.99 3000 udp', `lport ${lport}`, 'connect-retry 2'];
      const tunnel = await startTunnel(link, {
        number,
        listener,
        caller,
        protocol,
        remotes: [],
        callerLines: [
          'ping-restart 2',
          ['<connection>', ...silent, '</connection>'].join('\n'),
          ['<connection>', `remote ${OUTER.a.ipv4} ${port} ${word}`, 'nobind', '</connection>'].join('\n'),
        ],
      });
      const { log } = tunnel.caller.daemon;
      expect(log).toContain(`UDPv4 link local (bound): [AF_INET][undef]:${lport}`);
      expect(log).toContain('UDPv4 link remote: [AF_INET]192.0.2.99:3000');
      // Of the block that was in vain.
      expect(log).toContain('Restart pause, 2 second(s)');
      expect(log).toContain(local);
      expect(tunnel.listener.daemon.log).toMatch(/\[AF_INET\]192\.0\.2\.2:\d+/);
      expect(tunnel.listener.daemon.log).not.toContain(`192.0.2.2:${port}`);
      await expectPing(tunnel.caller.namespace, tunnel.listener.address);
      await stopTunnel(tunnel);
    },
  );
}

for (const { title, listener, caller } of pairs) {
  it.concurrent(
    `goes on to a block with float and exit messages of its own: ${title}`,
    async ({ expect }) => {
      const number = nextNumber(link);
      const strict = ['remote 192.0.2.99 3000'];
      const lax = ['remote 192.0.2.98 3000', 'float', 'explicit-exit-notify 2'];
      const tunnel = await startTunnel(link, {
        number,
        listener,
        caller,
        listenerLines: [
          'ping-restart 3',
          ...[strict, lax].map((lines) => ['<connection>', ...lines, '</connection>'].join('\n')),
        ],
      });
      // Once more, with a caller that speaks all the time: one that starts late misses the first block.
      await tunnel.listener.daemon.stop('SIGKILL');
      restart(link, tunnel.listener);
      await completed(tunnel);
      await expectPing(tunnel.caller.namespace, tunnel.listener.address);
      const { log } = tunnel.listener.daemon;
      const silent = log.indexOf('link remote: [AF_INET]192.0.2.99:3000');
      expect(log.indexOf('192.0.2.2', silent)).toBeGreaterThan(silent);
      expect(log).toMatch(/rejected from \[AF_INET\]192\.0\.2\.2:/i);
      await tunnel.listener.daemon.stop();
      await tunnel.caller.daemon.waitFor(/remote-exit/);
      await stopTunnel(tunnel);
    },
  );
}

it('moves a peer to the sockets of its blocks while another keeps the one they shared', async () => {
  const lines = ({ number, outer }: Spoke) => {
    if (number === 2) return [`remote ${outer} 1194`];
    const blocks = [
      ['remote 192.0.2.99 1194', 'lport 2002'],
      ['remote 192.0.2.98 1194', 'lport 3002'],
      [`remote ${outer} 1194`, 'lport 2001', 'float'],
    ];
    return blocks.map((block) => ['<connection>', ...block, '</connection>'].join('\n'));
  };
  const star = await startStar(2, {
    block: (spoke) => ({ lines: ['ping-restart 2', ...lines(spoke)] }),
  });
  try {
    const [mover, other] = star.spokes;
    await expectPingWithin(star.hub, mover.address, 20_000);
    const { log } = star.hubDaemon;
    for (const port of [2002, 3002, 2001])
      expect(log).toContain(`"peer":"s1","msg":"UDPv4 link local (bound): [AF_INET][undef]:${port}"`);
    expect(log).not.toMatch(/"peer":"s2".*restarting/);
    await expectPing(star.hub, other.address);
    expect(await hubStatus(star)).toMatchObject({
      peers: [{ local: '0.0.0.0:2001' }, { local: '0.0.0.0:2002', remote: `${other.outer}:1194` }],
    });
  } finally {
    await star.destroy();
  }
});
