import { describe, expect, it } from 'vitest';
import type { NatSurroundings } from '../../src/engine/engine.ts';
import type { DnatRule, NatSettings } from '../../src/nat/rule.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { Hub } from '../support/hub.ts';
import { DEFAULTS } from '../support/nat.ts';
import { markOf, packet, twoSites } from '../support/hub-packets.ts';

const SURROUNDINGS: NatSurroundings = {
  guards: { open: () => true, close: () => undefined, recvBatch: () => 0 },
  egressMatches: () => true,
  isLocalPortBusy: () => false,
};

const SETTINGS: NatSettings = {
  ...DEFAULTS,
  maxSessions: 1024,
  perHost: 256,
  perHostHalfOpen: 64,
  perHostRate: 1000,
  perHostBurst: 1000,
  unmatched: 'drop',
};

/** UDP to port 6000 of the gateway, captured on its LAN, goes to another host of that LAN. */
const FORWARD: DnatRule = {
  kind: 'dnat',
  id: 0,
  text: 'nat dnat in eth1 udp dport 6000 to 172.16.0.77',
  where: { file: 'test.conf', line: 1, column: 1 },
  match: {
    source: undefined,
    destination: { bytes: parseAddress('172.16.0.2'), length: 32 },
    protocol: 17,
    sourcePorts: undefined,
    destinationPorts: { first: 6000, last: 6000 },
  },
  from: 'tun',
  peer: undefined,
  to: parseAddress('172.16.0.77'),
  toPort: undefined,
  snat: undefined,
};

describe('packets of the kernel that go back to it, translated', () => {
  it('take none of those with them that go to peers', () => {
    const hub = new Hub({ nat: SURROUNDINGS });
    const { a, b } = twoSites(hub);
    hub.engine.setNat({ ...SETTINGS, rules: [FORWARD] });
    hub.toSend.push(
      packet('172.16.0.9', '10.1.0.5', { mark: 1 }),
      packet('172.16.0.9', '172.16.0.2', { mark: 2 }),
      packet('172.16.0.9', '10.2.0.5', { mark: 3 }),
    );
    hub.settle();
    expect(hub.delivered.map(markOf)).toEqual([2]);
    expect([...hub.delivered[0].subarray(16, 20)]).toEqual([172, 16, 0, 77]);
    expect([a, b].map(({ spoke }) => spoke.delivered.map(markOf))).toEqual([[1], [3]]);
    expect(hub.allDrops()).toEqual([]);
  });
});
