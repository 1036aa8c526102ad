/** `tsvpn up a.conf b.conf c.conf`: the files of three tunnels to stock peers, each good for itself, joined to one gateway. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { COMPLETED, inLab, startGateway, tsvpn, TSVPN, TSVPN_BIN, writeConfig } from '../support/gateway.ts';
import { PATIENCE_MS } from '../support/process.ts';
import { createStar, HUB, networkBehind, secretOf, type Spoke, type Star } from '../support/star.ts';
import { expectPing, pings } from '../support/traffic.ts';

describe('several files', () => {
  let star: Star;
  beforeEach(async () => {
    star = await createStar(3);
    for (const spoke of star.spokes) {
      writeConfig(star, `to-${spoke.name}`, hubFile(spoke));
      startGateway(star, spoke.namespace, {
        implementation: 'openvpn',
        name: spoke.name,
        config: spokeFile(spoke),
      });
    }
  });
  afterEach(() => star.destroy());

  const network = (spoke: Spoke) => networkBehind(spoke).replace('/16', ' 255.255.0.0');
  const far = ({ number }: Spoke) => `10.254.0.${2 * number}`;
  const near = ({ number }: Spoke) => `10.254.0.${2 * number + 1}`;
  const common = ['dev tun', 'cipher AES-256-CBC', 'auth SHA256', 'keepalive 1 4', 'verb 3'];
  const port = ({ number }: Spoke) => 1300 + number;

  /** As it would be with stock, one process for each. */
  function hubFile(spoke: Spoke): string {
    return [
      ...common,
      `lport ${port(spoke)}`,
      `remote ${spoke.outer} 1194`,
      `ifconfig ${near(spoke)} ${far(spoke)}`,
      `route ${network(spoke)}`,
      `secret ${secretOf(star, spoke)} 0`,
      'setenv opt peer-to-peer',
    ].join('\n');
  }

  function spokeFile(spoke: Spoke): string {
    return [
      ...common,
      'lport 1194',
      `remote ${HUB.outer} ${port(spoke)}`,
      `ifconfig ${far(spoke)} ${near(spoke)}`,
      'route 10.0.0.0 255.0.0.0',
      `secret ${secretOf(star, spoke)} 1`,
    ].join('\n');
  }

  const files = () => star.spokes.map(({ name }) => `to-${name}.conf`);

  it('are one gateway with one device, and carry from each peer to each', async () => {
    const up = star.hub.spawn(
      [TSVPN_BIN, 'up', ...files(), '--name', 'hub', '--log-format=human'],
      inLab(star),
    );
    await up.waitFor(COMPLETED, PATIENCE_MS, 3);
    expect((await star.hub.ip('-br', 'link', 'show', 'type', 'tun')).trim().split('\n')).toHaveLength(1);
    for (const from of star.spokes) {
      await expectPing(star.hub, from.inside);
      for (const to of star.spokes) {
        if (to === from) continue;
        await expectPing(from.namespace, to.inside);
        await expectPing(from.namespace, far(to));
      }
    }
    expect(await up.stop()).toBe(0);
  });

  it.each([
    ['tsvpn', TSVPN],
    ['stock', 'openvpn'],
  ] as const)('work alone, too: %s', async (_title, implementation) => {
    const [spoke, other] = star.spokes;
    const config = hubFile(spoke);
    const daemon = startGateway(star, star.hub, { implementation, name: 'alone', config });
    await daemon.waitFor(COMPLETED);
    await expectPing(star.hub, spoke.inside);
    expect(await pings(star.hub, other.inside)).toBe(false);
  });

  it('are checked together and alone', async () => {
    const check = async (...names: string[]) => {
      const { code, stdout, stderr } = await tsvpn(star, star.hub, 'check', ...names);
      return { code, text: stdout + stderr };
    };
    for (const file of files()) expect((await check(file)).code).toBe(0);
    expect((await check(...files())).code).toBe(0);
    writeConfig(star, 'clash', hubFile(star.spokes[0]));
    const clash = await check(...files(), 'clash.conf');
    expect(clash.code).toBe(2);
    expect(clash.text).toMatch(/KEY_TWICE/);
    expect(clash.text).toMatch(/CONFIG_SAME_SOCKET/);
  });
});
