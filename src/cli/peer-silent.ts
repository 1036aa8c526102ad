/** The error of `up --wait` when the peer does not answer in time. */
import { ExitCode, OperatorError } from '../errors.ts';

/** `staysUp` when the tunnel goes on waiting for the peer in the background. */
export function peerSilent(name: string, seconds: number, staysUp: boolean): OperatorError {
  const rest = staysUp ? `tunnel '${name}' stays up and keeps trying` : `tunnel '${name}' is down again`;
  const follow = `\nfollow it with \`tsvpn status ${name}\`, end it with \`tsvpn down ${name}\``;
  return new OperatorError({
    code: 'PEER_SILENT',
    what: `no valid packet from the peer within ${seconds} seconds; ${rest}`,
    why: 'the peer is not running or not reachable, or key, key-direction, cipher or auth differ',
    fix:
      'check that the peer runs, that UDP to its port is open on every firewall between, and that both\n' +
      `configs mirror each other (\`tsvpn check FILE\`)${staysUp ? follow : ''}`,
    exitCode: ExitCode.PeerSilent,
  });
}
