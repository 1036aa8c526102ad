/** Addresses inside the tunnel: each belongs to one end of one tunnel. */
import type { Findings } from '../findings.ts';
import { ifconfigPosition, refusePair } from './pair.ts';
import type { BuiltPeer } from './pair.ts';

const CODE = 'CONFIG_ADDRESSES';

/** This end's addresses with their lengths; 32 for a pair. */
function locals(peer: BuiltPeer): { address: string; length: number; kind: string }[] {
  const { address, address6 } = peer.config.device;
  const ipv4 = address && {
    address: address.local,
    length: address.kind === 'subnet' ? address.prefixLength : 32,
    kind: address.kind,
  };
  const ipv6 = address6 && { address: address6.local, length: address6.prefixLength, kind: 'ipv6' };
  return [ipv4, ipv6].flatMap((each) => each ?? []);
}

/** Where the peer's own address comes from. */
function remotePosition(peer: BuiltPeer, address: string) {
  const line = peer.draft.peerAddresses.find(({ value }) => value === address);
  return line?.where ?? ifconfigPosition(peer, address.includes(':'));
}

interface Known {
  readonly peer: BuiltPeer;
  readonly length: number;
  readonly kind: string;
}

/** Records one local address with two masks. */
function checkMasks(peers: readonly BuiltPeer[], findings: Findings): Map<string, Known> {
  const known = new Map<string, Known>();
  for (const peer of peers) {
    for (const { address, length, kind } of locals(peer)) {
      const first = known.get(address);
      if (first === undefined) {
        known.set(address, { peer, length, kind });
      } else if (first.kind === kind && first.length !== length) {
        const ipv6 = kind === 'ipv6';
        refusePair(findings, ifconfigPosition(first.peer, ipv6), ifconfigPosition(peer, ipv6), {
          code: CODE,
          what: `${address} has two masks: /${first.length} and /${length}`,
          why: 'all peers share one device',
          fix: `write the same mask in both lines`,
        });
      }
    }
  }
  return known;
}

export function checkAddresses(peers: readonly BuiltPeer[], findings: Findings): void {
  const local = checkMasks(peers, findings);
  const remote = new Map<string, BuiltPeer>();
  for (const peer of peers) {
    for (const address of peer.config.tunnelAddresses) {
      const where = remotePosition(peer, address);
      const own = local.get(address);
      if (own !== undefined) {
        refusePair(findings, ifconfigPosition(own.peer, address.includes(':')), where, {
          code: CODE,
          what: `${address} is both this end's address and that of ${peer.config.name}`,
          why: 'an address inside the tunnel belongs to one end',
          fix: 'give the peer an address of its own',
        });
      }
      const first = remote.get(address);
      if (first === undefined) {
        remote.set(address, peer);
      } else {
        refusePair(findings, remotePosition(first, address), where, {
          code: CODE,
          what: `${first.config.name} and ${peer.config.name} have the same address ${address}`,
          why: 'packets to it could go to one of them only',
          fix: 'give each peer an address of its own, here and in its own config',
        });
      }
    }
  }
}
