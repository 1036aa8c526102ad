/** Every peer has a name of its own. */
import type { Findings } from '../findings.ts';
import { refusePair } from './pair.ts';
import type { BuiltPeer } from './pair.ts';

function namePosition({ config, draft }: BuiltPeer) {
  return draft.settings.name?.where ?? config.where;
}

export function checkNames(peers: readonly BuiltPeer[], findings: Findings): void {
  const byName = new Map<string, BuiltPeer>();
  for (const peer of peers) {
    const { name } = peer.config;
    const first = byName.get(name);
    if (first === undefined) {
      byName.set(name, peer);
      continue;
    }
    refusePair(findings, namePosition(first), namePosition(peer), {
      code: 'CONFIG_PEER_NAME',
      what: `two peers are called ${name}`,
      why: 'status, logs and NAT rules know a peer by its name',
      fix: 'give one of them another: setenv opt name NAME\n(a peer without `name` is called after its file)',
    });
  }
}
