/** Parts of the protocol whose effect shows in a capture or in stock's log. */
import { describe, expect, it } from 'vitest';
import { COMPLETED, PEER_CONNECTED, TSVPN } from '../support/gateway.ts';
import { useLink } from '../support/topology.ts';
import { capturedSynMss, expectPing, expectPingWithin, pings } from '../support/traffic.ts';
import { completed, nextNumber, prepareTunnel, restart, startTunnel, stopTunnel } from '../support/tunnel.ts';

/** A third address in the link, on gateway B. */
const OTHER_ADDRESS = '192.0.2.3';
const OCC_REQUEST_SEC = 10;

const link = useLink(async ({ b }) => {
  await b.ip('address', 'add', `${OTHER_ADDRESS}/24`, 'dev', 'outer');
});

describe('mssfix', () => {
  // Stock has mssfix off here, so that what the capture shows is what tsvpn wrote. A listener does not know its
  // peer's family and counts 40 bytes of outer header; a caller over IPv4 counts 20.
  const rows = [
    { title: 'AES-256-CBC SHA256 as listener', ours: 'listener', mss: 1343, mss6: 1323 },
    { title: 'AES-256-CBC SHA256 as caller', ours: 'caller', mss: 1359, mss6: 1339 },
    {
      title: 'AES-128-CBC SHA1 as caller',
      ours: 'caller',
      cipher: 'AES-128-CBC',
      auth: 'SHA1',
      mss: 1375,
      mss6: 1355,
    },
    { title: 'cipher none as listener', ours: 'listener', cipher: 'none', mss: 1364, mss6: 1344 },
    {
      title: 'mssfix 1300 fixed as caller',
      ours: 'caller',
      line: 'mssfix 1300 fixed',
      mss: 1260,
      mss6: 1240,
    },
  ] as const;

  it.concurrent.each(rows)('lowers the MSS of SYNs in both directions: $title', async (row) => {
    const stock = row.ours === 'listener' ? 'caller' : 'listener';
    const tunnel = await startTunnel(link, {
      listener: row.ours === 'listener' ? TSVPN : 'openvpn',
      caller: row.ours === 'caller' ? TSVPN : 'openvpn',
      inner6: true,
      cipher: 'cipher' in row ? row.cipher : 'AES-256-CBC',
      auth: 'auth' in row ? row.auth : 'SHA256',
      [`${stock}Lines`]: ['mssfix 0'],
      [`${row.ours}Lines`]: 'line' in row ? [row.line] : [],
    });
    const [ours, peer] = [tunnel[row.ours], tunnel[stock]];
    const atPeer = { at: peer.namespace, device: peer.device };
    const atOurs = { at: ours.namespace, device: ours.device };
    expect(await capturedSynMss(ours.namespace, peer.address, atPeer), 'outbound SYN').toBe(row.mss);
    expect(await capturedSynMss(peer.namespace, ours.address, atOurs), 'inbound SYN').toBe(row.mss);
    expect(await capturedSynMss(ours.namespace, peer.address6, atPeer), 'outbound SYN over IPv6').toBe(
      row.mss6,
    );
    await stopTunnel(tunnel);
  });
});

describe('options consistency check', () => {
  for (const [title, lines] of [
    ['AES-256-CBC SHA256', []],
    ['comp-lzo no', ['comp-lzo no']],
    ['tun-mtu 1400', ['tun-mtu 1400']],
    ['no-replay', ['no-replay']],
    ['fragment 1200', ['fragment 1200']],
    ['fragment 600 with comp-lzo', ['fragment 600', 'comp-lzo']],
    ['compress lz4-v2', ['compress lz4-v2']],
  ] as const) {
    it.concurrent(`gives stock an answer it finds consistent, and asks for its own: ${title}`, async () => {
      const tunnel = await startTunnel(link, {
        listener: 'openvpn',
        caller: TSVPN,
        direction: '0-1',
        inner6: true,
        lines,
        listenerLines: ['verb 9'],
      });
      const { daemon } = tunnel.listener;
      await daemon.waitFor(/RECEIVED OCC_REPLY/, (OCC_REQUEST_SEC + 10) * 1000);
      await daemon.waitFor(/RECEIVED OCC_REQUEST/, (OCC_REQUEST_SEC + 10) * 1000);
      expect(daemon.log).not.toMatch(/used inconsistently|present in (local|remote) config/);
      await stopTunnel(tunnel);
    });
  }

  it.concurrent('shows stock the options that differ', async () => {
    const tunnel = await startTunnel(link, {
      listener: 'openvpn',
      caller: TSVPN,
      listenerLines: ['verb 7'],
      callerLines: ['tun-mtu 1400'],
    });
    const differs = /'tun-mtu' is used inconsistently, local='tun-mtu 1500', remote='tun-mtu 1400'/;
    await tunnel.listener.daemon.waitFor(differs, (OCC_REQUEST_SEC + 10) * 1000);
    await stopTunnel(tunnel);
  });

  it.concurrent('brings a tunnel without pings and without traffic up, by the first request', async () => {
    const tunnel = prepareTunnel(link, {
      listener: 'openvpn',
      caller: TSVPN,
      lines: ['ping 0'],
    });
    await completed(tunnel);
    await stopTunnel(tunnel);
  });
});

describe('peer address', () => {
  it.concurrent('refuses datagrams of another address than remote without float', async () => {
    const number = nextNumber(link);
    const tunnel = prepareTunnel(link, {
      number,
      listener: TSVPN,
      caller: 'openvpn',
      listenerLines: [`remote 192.0.2.2 ${2000 + number}`],
      callerLines: [`local ${OTHER_ADDRESS}`],
    });
    await tunnel.listener.daemon.waitFor(/Incoming packet rejected from .*192\.0\.2\.3/);
    expect(await pings(tunnel.caller.namespace, tunnel.listener.address)).toBe(false);
    expect(tunnel.listener.daemon.log).not.toMatch(PEER_CONNECTED);
    await stopTunnel(tunnel);
  });

  it.concurrent('accepts them with float, and answers where they came from', async () => {
    const number = nextNumber(link);
    const tunnel = prepareTunnel(link, {
      number,
      listener: TSVPN,
      caller: 'openvpn',
      listenerLines: [`remote 192.0.2.2 ${2000 + number}`, 'float'],
      callerLines: [`local ${OTHER_ADDRESS}`],
    });
    await completed(tunnel);
    expect(tunnel.listener.daemon.log).toMatch(/Peer Connection Initiated with .*192\.0\.2\.3/);
    await expectPing(tunnel.listener.namespace, tunnel.caller.address);
    await stopTunnel(tunnel);
  });

  it.concurrent(
    'follows a peer that comes back from another address and port, without a remote line',
    async () => {
      const number = nextNumber(link);
      const tunnel = await startTunnel(link, { number, listener: TSVPN, caller: 'openvpn' });
      await tunnel.caller.daemon.stop();
      const config = tunnel.caller.config.replace(
        /^port .*$/m,
        `lport 0\nrport ${tunnel.port}\nlocal ${OTHER_ADDRESS}`,
      );
      restart(link, Object.assign(tunnel.caller, { config }));
      await tunnel.caller.daemon.waitFor(COMPLETED);
      await tunnel.listener.daemon.waitFor(/Peer Connection Initiated with .*192\.0\.2\.3/);
      await expectPingWithin(tunnel.listener.namespace, tunnel.caller.address);
      await stopTunnel(tunnel);
    },
  );

  it.concurrent('calls from a port of the kernel with nobind', async () => {
    const tunnel = await startTunnel(link, {
      listener: 'openvpn',
      caller: TSVPN,
      callerLines: ['nobind'],
    });
    expect(tunnel.listener.daemon.log).not.toMatch(new RegExp(`Initiated with .*:${tunnel.port}`));
    await expectPing(tunnel.listener.namespace, tunnel.caller.address);
    await stopTunnel(tunnel);
  });
});
