/** `<connection>` blocks with settings of their own, next to stock. */
import { expect, it } from 'vitest';
import { TSVPN } from '../support/gateway.ts';
import { OUTER, useLink } from '../support/topology.ts';
import { expectPing } from '../support/traffic.ts';
import { nextNumber, startTunnel, stopTunnel } from '../support/tunnel.ts';

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
