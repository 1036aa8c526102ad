/** Who translates sources, and who does not: a client, a gateway, and what is done at the gateway. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Contender } from './contenders.ts';
import { programMissing } from './contenders.ts';
import { untilDevice } from './drivers/device.ts';
import { DEFAULT_SHAPE, startStaticKey, type StaticKeyEnd } from './drivers/static-key.ts';
import { runJob } from './processes.ts';
import {
  buildSite,
  forwardAtGateway,
  LAN,
  LAN_MASK,
  LAN_NETWORK,
  routeBack,
  SERVER,
  type Site,
} from './site.ts';
import type { Place } from './tunnel.ts';

type Implementation = StaticKeyEnd['implementation'];
/** By nftables, by tsvpn itself, or not at all: the server then has a route back. */
type Translation = 'nftables' | 'tsvpn' | 'none';

const COMMAND_TIMEOUT_MS = 5000;

/** All of the comparison; the first is what the others are compared with. */
export function natContenders(tsvpnCommand: readonly string[]): Contender[] {
  const all: readonly (readonly [string, string, Implementation, Implementation, Translation])[] = [
    ['stock', 'OpenVPN ↔ OpenVPN, nftables masquerade', 'openvpn', 'openvpn', 'nftables'],
    ['tsvpn', 'tsvpn ↔ tsvpn, nat snat masquerade', 'tsvpn', 'tsvpn', 'tsvpn'],
    ['tsvpn-routed', 'tsvpn ↔ tsvpn without NAT', 'tsvpn', 'tsvpn', 'none'],
    ['stock-tsvpn', 'OpenVPN → tsvpn, nat snat masquerade', 'openvpn', 'tsvpn', 'tsvpn'],
    ['stock-routed', 'OpenVPN ↔ OpenVPN without NAT', 'openvpn', 'openvpn', 'none'],
  ];
  return all.map(([name, title, client, gateway, translation]) => ({
    name,
    title,
    missing: () =>
      (client === 'openvpn' ? programMissing('openvpn', 'openvpn')() : undefined) ??
      (translation === 'nftables' ? programMissing('nft', 'nftables')() : undefined),
    start: (place) => startSite(place, { client, gateway, translation }, tsvpnCommand),
  }));
}

interface Ends {
  readonly client: Implementation;
  readonly gateway: Implementation;
  readonly translation: Translation;
}

/** Traffic then goes from the client to the server. */
async function startSite(
  place: Place,
  { client, gateway, translation }: Ends,
  tsvpnCommand: readonly string[],
) {
  const { number, device, address } = place;
  const site = buildSite(place.testbed, `${number}`);
  const rule = `setenv opt nat snat ${address.a}/32 out ${LAN} masquerade`;
  const ends = {
    a: { implementation: client, lines: [`route ${LAN_NETWORK} ${LAN_MASK}`] },
    b: { implementation: gateway, lines: translation === 'tsvpn' ? [rule] : [] },
  };
  const daemons = await startStaticKey({ ...place, testbed: site }, ends, DEFAULT_SHAPE, tsvpnCommand);
  if (translation !== 'tsvpn') {
    await untilDevice(site.b, device);
    forwardAtGateway(site, device);
  }
  if (translation === 'nftables') await masquerade(site, address.a);
  if (translation === 'none') routeBack(site, address.a);
  return { testbed: { ...site, b: site.server }, address: { a: address.a, b: SERVER }, daemons };
}

function masquerade(site: Site, source: string): Promise<string> {
  const file = join(site.folder, `${site.b.name}.nft`);
  writeFileSync(
    file,
    `table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat
    ip saddr ${source} oifname "${LAN}" masquerade
  }
}
`,
  );
  return runJob(site, 'b', ['nft', '-f', file], COMMAND_TIMEOUT_MS);
}
