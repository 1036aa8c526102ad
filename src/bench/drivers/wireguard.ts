/** Starts a tunnel of wireguard-go, the userspace implementation. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { addAddress, setLink } from '../../kernel/rtnetlink.ts';
import { upDevice, withNetlinkOf } from '../../lab/network.ts';
import { runJob, startDaemon, type Daemon } from '../processes.ts';
import { ENDS, OUTER, otherEnd, type EndName } from '../testbed.ts';
import type { Daemons, Place } from '../tunnel.ts';

const COMMAND_TIMEOUT_MS = 5000;
const TRIES = 50;
const RETRY_MS = 50;
/** What wg-quick sets on a path of 1500 bytes over IPv6; the default everywhere. */
const MTU = 1420;

/** wireguard-go puts its control socket into /run/wireguard, which all namespaces share: each end gets its own /run. */
const IN_OWN_RUN = 'mount -t tmpfs tmpfs /run && mkdir -p /run/wireguard && exec "$@"';

interface KeyPair {
  /** File with the private key. */
  readonly file: string;
  readonly publicKey: string;
}

export async function startWireguard(place: Place): Promise<Daemons> {
  const keys = { a: await makeKeys(place, 'a'), b: await makeKeys(place, 'b') };
  const started: Partial<Record<EndName, Daemon>> = {};
  for (const end of ENDS) {
    started[end] = await startProgram(place, end);
    await configure(place, end, started[end].pid, keys[end], keys[otherEnd(end)]);
  }
  return started;
}

/** Clamped as Curve25519 asks for; `wg pubkey` reads standard input, hence the shell. */
async function makeKeys({ testbed, device }: Place, end: EndName): Promise<KeyPair> {
  const secret = randomBytes(32);
  secret[0] &= 248;
  secret[31] = (secret[31] & 127) | 64;
  const file = join(testbed.folder, `${device}-${end}.private`);
  writeFileSync(file, `${secret.toString('base64')}\n`, { mode: 0o600 });
  const output = await runJob(testbed, end, ['sh', '-c', 'wg pubkey <"$1"', 'sh', file], COMMAND_TIMEOUT_MS);
  return { file, publicKey: output.trim() };
}

function startProgram({ testbed, device }: Place, end: EndName): Promise<Daemon> {
  const isolated = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', IN_OWN_RUN, 'sh'];
  const words = [...isolated, 'wireguard-go', '--foreground', device];
  // It would otherwise refuse to run where the kernel has WireGuard itself.
  const env = { WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD: '1', LOG_LEVEL: 'error' };
  return startDaemon(testbed, end, `${device}-${end}`, words, { env });
}

async function configure(
  place: Place,
  end: EndName,
  pid: number,
  own: KeyPair,
  peer: KeyPair,
): Promise<void> {
  const { testbed, device, port, address } = place;
  const other = otherEnd(end);
  const words = ['nsenter', '--mount', '--target', `${pid}`, 'wg', 'set', device];
  words.push('listen-port', `${port}`, 'private-key', own.file, 'peer', peer.publicKey);
  words.push('endpoint', `${OUTER[other]}:${port}`, 'allowed-ips', `${address[other]}/32`);
  await retried(() => runJob(testbed, end, words, COMMAND_TIMEOUT_MS));
  withNetlinkOf(testbed[end], (netlink) => {
    const index = upDevice(netlink, device);
    setLink(netlink, index, { mtu: MTU });
    addAddress(netlink, index, { family: 4, local: address[end], peer: address[other], prefixLength: 32 });
  });
}

/** The program's control socket appears some time after its start. */
async function retried(action: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await action();
      return;
    } catch (error) {
      if (attempt === TRIES) throw error;
      await pause(RETRY_MS);
    }
  }
}
