/**
 * Watches the kernel as a gateway does, for tests. The order comes as JSON in the first argument: `{tun, peers, icmp?,
 * egress?}`. Opens the device with 10.8.0.1/24 and fd08::1/64, then writes `routes [...]` at the start and whenever the
 * kernel says that something has changed, `icmp SOURCE TYPE` for each message the raw socket of address `icmp` gets, and
 * `egress DEVICE SOURCE` for each address in `egress`.
 */
import { recv, sendto } from '../../dist/ffi/libc.js';
import { KernelSetup } from '../../dist/kernel/apply.js';
import { openEgressLookup } from '../../dist/kernel/egress.js';
import { learnedRoutes, localRoutes, ownersOf, ownRoutes } from '../../dist/kernel/learn.js';
import { Monitor } from '../../dist/kernel/monitor.js';
import { openRawIcmp } from '../../dist/kernel/nat/raw-icmp.js';
import { formatAddress, parseAddress } from '../../dist/packet/address.js';
import { formatPrefix, parsePrefix, prefixContains } from '../../dist/packet/prefix.js';
import { openTun } from '../../dist/tun/open.js';

const MSG_DONTWAIT = 0x40;
const { tun, peers, journal, icmp, ping, egress } = JSON.parse(process.argv[2]);

openTun({ type: 'tun', name: tun, node: '/dev/net/tun', offload: false });
const setup = new KernelSetup({
  journalPath: journal,
  device: tun,
  log: { info: () => undefined, warn: console.log },
});
setup.apply([
  { kind: 'address', device: tun, family: 4, local: '10.8.0.1', prefixLength: 24 },
  { kind: 'address', device: tun, family: 6, local: 'fd08::1', prefixLength: 64 },
  { kind: 'up', device: tun },
]);

const owners = ownersOf(peers);
const prefixes = peers.flatMap((peer) => peer.prefixes.map(parsePrefix));
const isInside = ({ bytes, length }) =>
  prefixes.some((outer) => outer.length < length && prefixContains(outer, bytes));
let calls = 0;
function tell({ host: { own, routes, addresses } }) {
  const learned = [
    ...learnedRoutes(routes, own, owners),
    ...localRoutes(routes, own, isInside),
    ...ownRoutes(addresses),
  ];
  const lines = learned.map(({ prefix, kind, peer, source }) =>
    [formatPrefix(prefix), kind, peer, source.protocol].filter(Boolean).join(' '),
  );
  console.log(`routes ${++calls} ${JSON.stringify(lines.toSorted())}`);
}
export const monitor = new Monitor({ device: tun, onChange: tell, onFailure: console.log });

const lookup = openEgressLookup();
for (const address of egress ?? []) {
  const found = lookup.find(parseAddress(address));
  console.log(
    `egress ${address} ${found === undefined ? 'none' : `${found.device} ${formatAddress(found.source)}`}`,
  );
}

if (icmp !== undefined) {
  const fd = openRawIcmp(parseAddress(icmp));
  if (ping !== undefined) sendEcho(fd, parseAddress(icmp), parseAddress(ping));
  const packet = new Uint8Array(65536);
  setInterval(() => {
    while (recv(fd, packet, packet.length, MSG_DONTWAIT) > 0) {
      const type = packet[(packet[0] & 15) * 4];
      console.log(`icmp ${formatAddress(packet.slice(12, 16))} ${type}`);
    }
  }, 20);
}
setInterval(() => {}, 1000);

/** An echo request with TTL 7, the IP header written here. */
function sendEcho(fd, from, to) {
  const packet = new Uint8Array(28);
  packet.set([0x45, 0, 0, 28, 0, 0, 0, 0, 7, 1]);
  packet.set(from, 12);
  packet.set(to, 16);
  packet.set([8, 0, 0, 0, 0x12, 0x34, 0, 1], 20);
  const sum = 0x0800 + 0x1234 + 0x0001;
  new DataView(packet.buffer).setUint16(22, ~sum & 0xffff);
  const name = new Uint8Array(16);
  name[0] = 2;
  name.set(to, 4);
  if (sendto(fd, packet, packet.length, 0, name, name.length) !== packet.length)
    throw new Error('sendto failed');
}
