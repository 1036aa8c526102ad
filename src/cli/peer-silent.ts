/** The error of `up --wait` when a peer does not answer in time. */
import { diagnoseSilence } from '../control/silence.ts';
import type { PeerStatus, TunnelStatus } from '../control/status.ts';
import { ExitCode, OperatorError } from '../errors.ts';

/** `staysUp` when the tunnel goes on waiting for the peer in the background. */
export function peerSilent(status: TunnelStatus, seconds: number, staysUp: boolean): OperatorError {
  const { name, peers } = status;
  const rest = staysUp ? `tunnel '${name}' stays up and keeps trying` : `tunnel '${name}' is down again`;
  const follow = `\nfollow it with \`tsvpn status ${name}\`, end it with \`tsvpn down ${name}\``;
  const silent = peers.filter(({ endpoint }) => endpoint === null);
  const { why, fix } = diagnose(silent.length > 0 ? silent : peers, peers.length > 1);
  return new OperatorError({
    code: 'PEER_SILENT',
    what: `no valid packet from ${whom(silent, peers)} within ${seconds} seconds; ${rest}`,
    why,
    fix: `${fix}${staysUp ? follow : ''}`,
    exitCode: ExitCode.PeerSilent,
  });
}

function whom(silent: readonly PeerStatus[], peers: readonly PeerStatus[]): string {
  if (peers.length === 1) return 'the peer';
  const names = silent.map(({ name }) => name).join(', ');
  return `${silent.length} of ${peers.length} peers (${names})`;
}

/** Of the first: where several are silent, the cause is often the same. */
function diagnose([peer]: readonly PeerStatus[], several: boolean): { why: string; fix: string } {
  const { why, fix } = diagnoseSilence(peer);
  return { why: several ? `${peer.name}: ${why}` : why, fix };
}
