/** From which `verb` on a line is logged, next to stock: the same for both. */
import { expect, it, vi } from 'vitest';
import { COMPLETED, startGateway, TSVPN, writeKey } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { PATIENCE_MS } from '../support/process.ts';
import { OUTER, useLink } from '../support/topology.ts';
import { pings } from '../support/traffic.ts';

const FROM: readonly (readonly [verb: number, line: RegExp])[] = [
  [1, /TUN\/TAP device \S+ opened/],
  [1, /UDPv4 link local \(bound\): /],
  [1, /UDPv4 link remote: /],
  [1, /Peer Connection Initiated with /],
  [1, /Initialization Sequence Completed/],
  [1, /SIGUSR1\[hard,\] received, process restarting/],
  [1, /SIGTERM\[hard,\] received, process exiting/],
  [2, /Data Channel: cipher 'AES-256-CBC', auth 'SHA256'/],
  [2, /Timers: ping 1, ping-restart 60, inactive 500, session-timeout 600/],
  [3, /Socket Buffers: R=/],
  [3, /Restart pause, 1 second/],
];

const link = useLink();

function config(verb: number, key: string, end: 'a' | 'b'): string {
  const [own, other] = end === 'a' ? [1, 2] : [2, 1];
  return [
    `dev verb${verb}`,
    'dev-type tun',
    `port ${2000 + verb}`,
    `remote ${OUTER[end === 'a' ? 'b' : 'a'].ipv4}`,
    `secret ${key}`,
    'cipher AES-256-CBC',
    'auth SHA256',
    `ifconfig 10.7.${verb}.${own} 10.7.${verb}.${other}`,
    'persist-tun',
    'keepalive 1 60',
    'inactive 500',
    'session-timeout 600',
    `verb ${verb}`,
  ].join('\n');
}

it.concurrent.each([0, 1, 2, 3, 4])('at verb %d', async (verb) => {
  const key = writeKey(link, `verb${verb}.key`, staticKeyText());
  const start = (end: 'a' | 'b', implementation: 'openvpn' | 'tsvpn') => {
    const name = `verb${verb}-${end}`;
    return startGateway(link, link[end], { implementation, name, config: config(verb, key, end) });
  };
  const ends = { stock: start('a', 'openvpn'), tsvpn: start('b', TSVPN) };
  const answers = () => pings(link.b, `10.7.${verb}.1`);
  const complete = async (times: number) => {
    await vi.waitUntil(answers, { timeout: PATIENCE_MS, interval: 300 });
    if (verb === 0) return;
    await Promise.all(Object.values(ends).map((end) => end.waitFor(COMPLETED, PATIENCE_MS, times)));
  };
  await complete(1);
  for (const { pid } of Object.values(ends)) process.kill(pid, 'SIGUSR1');
  await complete(2);
  for (const [name, end] of Object.entries(ends)) {
    await end.stop();
    const logged = FROM.filter(([, line]) => line.test(end.log)).map(([, line]) => line);
    expect(logged, name).toEqual(FROM.filter(([from]) => from <= verb).map(([, line]) => line));
  }
});
