/** From `nat` lines and the addresses of the moment to rules of the data plane. */
import { expect, it } from 'vitest';
import { natSettings, type NatReferents } from '../../src/gateway/nat-settings.ts';
import { formatAddress, parseAddress } from '../../src/packet/address.ts';
import { formatPrefix } from '../../src/packet/prefix.ts';
import type { NatRule, SnatAddress } from '../../src/nat/rule.ts';
import { gatewayOf } from '../support/config.ts';

const EVERYTHING: NatReferents = {
  addresses: [parseAddress('172.16.0.2')],
  tunnelAddress: parseAddress('10.8.0.1'),
  peers: new Map([['peer', 7]]),
};
const NOTHING: NatReferents = { addresses: [undefined], tunnelAddress: undefined, peers: new Map() };

function outside(to: SnatAddress | undefined): string {
  if (to === undefined) return 'none';
  const { address, ports, shared } = to;
  return `${formatAddress(address)}:${ports.first}-${ports.last}${shared ? ' shared' : ''}`;
}

/** A rule in short. */
function short(rule: NatRule): string {
  const { destination } = rule.match;
  switch (rule.kind) {
    case 'none':
      return 'none';
    case 'snat':
      return [rule.out, rule.egress ?? rule.peer ?? 'any', outside(rule.to)].join(' ');
    case 'dnat': {
      const at = destination === undefined ? 'anywhere' : formatPrefix(destination);
      const to = `${formatAddress(rule.to)}:${rule.toPort ?? 'same'}`;
      return [rule.from, rule.peer ?? 'any', at, to, outside(rule.snat)].join(' ');
    }
  }
}

it.each([
  ['nat none 10.8.0.0/24', 'none', 'none'],
  ['nat snat 10.8.0.0/24 out eth1 masquerade', 'tun eth1 172.16.0.2:61000-65534 shared', 'tun eth1 none'],
  [
    'nat snat 10.8.0.0/24 out eth1 to 172.16.0.9',
    'tun eth1 172.16.0.9:1024-65535',
    'tun eth1 172.16.0.9:1024-65535',
  ],
  ['nat snat 172.16.0.0/24 into tunnel', 'peers any 10.8.0.1:1024-65535', 'peers any none'],
  ['nat snat 172.16.0.0/24 into tunnel peer peer', 'peers 7 10.8.0.1:1024-65535', 'peers any none'],
  [
    'nat dnat in eth1 tcp dport 8080 to 10.8.0.2:80',
    'tun any 172.16.0.2/32 10.8.0.2:80 none',
    'tun any 0.0.0.0/32 10.8.0.2:80 none',
  ],
  [
    'nat dnat in eth1 tcp dport 8080 dst 203.0.113.2 to 10.8.0.2 snat',
    'tun any 203.0.113.2/32 10.8.0.2:same 10.8.0.1:1024-65535',
    'tun any 203.0.113.2/32 10.8.0.2:same none',
  ],
  [
    'nat dnat from peers tcp dport 80 to 172.16.0.3 snat',
    'peers any anywhere 172.16.0.3:same 172.16.0.2:61000-65534 shared',
    'peers any anywhere 172.16.0.3:same none',
  ],
])('%s, with the addresses it names and without', (line, withAll, without) => {
  const config = gatewayOf([line]);
  const rules = [EVERYTHING, NOTHING].map((referents) => natSettings(config, referents).rules.map(short));
  expect(rules).toEqual([[withAll], [without]]);
});
