/** examples/hub, as it is: stock sites around a hub that runs tsvpn, and what stock makes of the hub's file. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { example, keyFilesOf } from '../support/examples.ts';
import { COMPLETED, startGateway, TSVPN } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { createLab, type Lab, type Namespace } from '../support/netns.ts';
import { type Daemon, PATIENCE_MS } from '../support/process.ts';
import { expectPing, traceroute } from '../support/traffic.ts';

let lab: Lab;
let hub: Namespace;
let sites: readonly { namespace: Namespace; name: string; inside: string }[];

beforeEach(async () => {
  lab = createLab();
  for (const key of keyFilesOf(example('hub', 'hub.conf')))
    writeFileSync(join(lab.folder, key), staticKeyText(), { mode: 0o600 });
  hub = await lab.namespace('hub');
  sites = await Promise.all(
    ['a', 'b'].map(async (letter, i) => {
      const namespace = await lab.namespace(letter);
      await lab.connect(hub, `to-${letter}`, namespace, 'outer');
      const inside = `10.${i + 1}.0.1`;
      await namespace.ip('address', 'add', `198.51.100.${2 + i}/32`, 'peer', '192.0.2.2', 'dev', 'outer');
      await namespace.ip('address', 'add', `${inside}/16`, 'dev', 'lo');
      await hub.ip('address', 'add', '192.0.2.2/32', 'peer', `198.51.100.${2 + i}`, 'dev', `to-${letter}`);
      return { namespace, name: `site-${letter}`, inside };
    }),
  );
});
afterEach(() => lab.destroy());

/** The hub first: the sites call it. */
async function start(implementation: 'openvpn' | 'tsvpn'): Promise<Daemon> {
  const daemon = startGateway(lab, hub, { implementation, name: 'hub', config: example('hub', 'hub.conf') });
  await daemon.waitFor(/link local \(bound\)/);
  for (const { namespace, name } of sites)
    startGateway(lab, namespace, { implementation: 'openvpn', name, config: example('hub', `${name}.conf`) });
  return daemon;
}

it('the sites reach the hub and each other, and are told what nobody has', async () => {
  const daemon = await start(TSVPN);
  await daemon.waitFor(COMPLETED, PATIENCE_MS, 2);
  const [a, b] = sites;
  await Promise.all([expectPing(hub, a.inside), expectPing(hub, b.inside)]);
  expect(await traceroute(a.namespace, b.inside)).toEqual(['10.8.0.1', b.inside]);
  const { stdout } = await b.namespace.run(['ping', '-n', '-c', '1', '-W', '1', '10.99.0.1']);
  expect(stdout).toMatch(/From 10\.8\.0\.1 .*Destination Host Unreachable/);
});

it('with stock as the hub, the first site is connected', async () => {
  const daemon = await start('openvpn');
  await daemon.waitFor(COMPLETED);
  await expectPing(hub, '10.8.0.2');
});
