/** A measurement that has no end because the tunnel has: what happened is said. */
import { join } from 'node:path';
import { it } from 'vitest';
import { request } from '../../src/control/client.ts';
import { operatorErrors, type OperatorErrorDetail } from '../../src/errors.ts';
import { NAME, onPath, type PathTunnel } from '../support/path-tunnel.ts';

/** Asks of the tunnel while it measures the path; resolves with what became of the measurement. */
async function interruptedBy(
  { folder, b }: PathTunnel,
  method: 'restart' | 'stop',
): Promise<OperatorErrorDetail> {
  const run = join(folder, 'run');
  // To a peer that does not answer it lasts two seconds.
  process.kill(b.pid, 'SIGSTOP');
  const measured = request(run, NAME.a, 'mtu', {}).then(
    () => ({ code: 'measured' }),
    (error: unknown) => operatorErrors(error)?.[0].detail,
  );
  const change = method === 'stop' ? request(run, NAME.a, 'stop') : request(run, NAME.a, 'restart', {});
  await change;
  const outcome = (await measured) as OperatorErrorDetail;
  process.kill(b.pid, 'SIGCONT');
  return outcome;
}

const PATH = { kind: 'icmp', mtu: 1400, ipv6: false, peer: 'openvpn' } as const;

it.concurrent('by a restart', ({ expect }) =>
  onPath(PATH, async (tunnel) => {
    expect(await interruptedBy(tunnel, 'restart')).toMatchObject({
      code: 'MTU_NOT_NOW',
      what: expect.stringMatching(/^the measurement of the path to \S+ was interrupted$/) as string,
      why: 'the connection to it restarts',
    });
  }),
);

it.concurrent('by the end, while the peer is told', ({ expect }) =>
  onPath({ ...PATH, ourLines: ['explicit-exit-notify 1'] }, async (tunnel) => {
    expect(await interruptedBy(tunnel, 'stop')).toMatchObject({
      code: 'MTU_NOT_NOW',
      why: 'the tunnel is about to end',
    });
  }),
);

it.concurrent('by the end', ({ expect }) =>
  onPath(PATH, async (tunnel) => {
    const { code } = await interruptedBy(tunnel, 'stop');
    // Whichever comes first: the answer of the data plane, or the end of the control socket.
    expect(['MTU_NOT_NOW', 'CONTROL_CLOSED']).toContain(code);
  }),
);
