import { afterEach, describe, it } from 'vitest';
import { expectHostsReachEachOther, expectStatusFile, startSites } from '../support/field-case.ts';
import { TSVPN, type Implementation } from '../support/gateway.ts';
import { createFieldCase, type FieldCase } from '../support/topology.ts';

const pairs: readonly [title: string, a: Implementation, b: Implementation][] = [
  ['stock on both ends (the reference)', 'openvpn', 'openvpn'],
  ['tsvpn on A, stock on B', TSVPN, 'openvpn'],
  ['stock on A, tsvpn on B', 'openvpn', TSVPN],
  ['tsvpn on both ends', TSVPN, TSVPN],
];

describe('two VPCs, 10.0.0.0/16 and 10.1.0.0/16', () => {
  let net: FieldCase | undefined;
  afterEach(() => net?.destroy());

  it.each(pairs)('hosts ping and traceroute across in three hops: %s', async (_title, a, b) => {
    net = await createFieldCase();
    const sites = await startSites(net, a, b);
    await expectHostsReachEachOther(net);
    expectStatusFile(sites.a);
    expectStatusFile(sites.b);
  });
});
