import { describe, it } from 'vitest';
import { expectHostsReachEachOther, expectStatusFile, startSites } from '../support/field-case.ts';
import { TSVPN, type Implementation } from '../support/gateway.ts';
import { createFieldCase } from '../support/topology.ts';

const pairs: readonly [title: string, a: Implementation, b: Implementation][] = [
  ['stock on both ends (the reference)', 'openvpn', 'openvpn'],
  ['tsvpn on A, stock on B', TSVPN, 'openvpn'],
  ['stock on A, tsvpn on B', 'openvpn', TSVPN],
  ['tsvpn on both ends', TSVPN, TSVPN],
];

describe('two VPCs, 10.0.0.0/16 and 10.1.0.0/16', () => {
  it.concurrent.for(pairs)(
    'hosts ping and traceroute across in three hops: %s',
    async ([, a, b], { onTestFinished }) => {
      const net = await createFieldCase();
      onTestFinished(() => net.destroy());
      const sites = await startSites(net, a, b);
      await expectHostsReachEachOther(net);
      expectStatusFile(sites.a);
      expectStatusFile(sites.b);
    },
  );
});
