/** The error of `up --wait` when the peer does not answer in time. */
import { diagnoseSilence } from '../control/silence.ts';
import type { TunnelStatus } from '../control/status.ts';
import { ExitCode, OperatorError } from '../errors.ts';

/** `staysUp` when the tunnel goes on waiting for the peer in the background. */
export function peerSilent(status: TunnelStatus, seconds: number, staysUp: boolean): OperatorError {
  const { name } = status;
  const rest = staysUp ? `tunnel '${name}' stays up and keeps trying` : `tunnel '${name}' is down again`;
  const follow = `\nfollow it with \`tsvpn status ${name}\`, end it with \`tsvpn down ${name}\``;
  const { why, fix } = diagnoseSilence(status);
  return new OperatorError({
    code: 'PEER_SILENT',
    what: `no valid packet from the peer within ${seconds} seconds; ${rest}`,
    why,
    fix: `${fix}${staysUp ? follow : ''}`,
    exitCode: ExitCode.PeerSilent,
  });
}
