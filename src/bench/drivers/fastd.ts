/** Starts a tunnel of fastd. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addAddress } from '../../kernel/rtnetlink.ts';
import { upDevice, withNetlinkOf } from '../../lab/network.ts';
import { runJob, startDaemon, type Daemon } from '../processes.ts';
import { ENDS, OUTER, otherEnd, type EndName } from '../testbed.ts';
import type { Daemons, Place } from '../tunnel.ts';
import { untilDevice } from './device.ts';

const COMMAND_TIMEOUT_MS = 5000;
/** Fits a path of 1500 bytes: 28 bytes of outer headers, 24 of fastd's. */
const MTU = 1440;
const METHOD = 'salsa2012+umac';

interface KeyPair {
  readonly secret: string;
  readonly public: string;
}

export async function startFastd(place: Place): Promise<Daemons> {
  const keys = { a: await makeKeys(place), b: await makeKeys(place) };
  const started: Partial<Record<EndName, Daemon>> = {};
  for (const end of ENDS) {
    const { testbed, device } = place;
    const config = join(testbed.folder, `${device}-${end}.conf`);
    writeFileSync(config, configText(place, end, keys[end], keys[otherEnd(end)]), { mode: 0o600 });
    const words = ['fastd', '--config', config];
    started[end] = await startDaemon(testbed, end, `${device}-${end}`, words);
    await addressDevice(place, end);
  }
  return started;
}

async function makeKeys({ testbed }: Place): Promise<KeyPair> {
  const text = await runJob(testbed, 'a', ['fastd', '--generate-key'], COMMAND_TIMEOUT_MS);
  const field = (name: string) => new RegExp(`^${name}: ([0-9a-f]{64})$`, 'm').exec(text)?.[1] ?? '';
  return { secret: field('Secret'), public: field('Public') };
}

function configText(place: Place, end: EndName, own: KeyPair, peer: KeyPair): string {
  const { device, port } = place;
  const other = otherEnd(end);
  return [
    'log level warn;',
    'mode tun;',
    `interface "${device}";`,
    `method "${METHOD}";`,
    `mtu ${MTU};`,
    `bind ${OUTER[end]}:${port};`,
    `secret "${own.secret}";`,
    // End b calls end a, which is up by then: a handshake that meets nobody, or one from the other end, is repeated
    // only after 20 seconds.
    `peer "${other}" { key "${peer.public}"; ${end === 'b' ? `remote ${OUTER.a}:${port};` : ''} }`,
    '',
  ].join('\n');
}

/** fastd creates its device some time after its start. */
async function addressDevice({ testbed, device, address }: Place, end: EndName): Promise<void> {
  await untilDevice(testbed[end], device);
  withNetlinkOf(testbed[end], (netlink) => {
    const index = upDevice(netlink, device);
    const peer = address[otherEnd(end)];
    addAddress(netlink, index, { family: 4, local: address[end], peer, prefixLength: 32 });
  });
}
