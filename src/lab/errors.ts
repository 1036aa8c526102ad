/** The lab's own failures, put for people. */
import { ExitCode, OperatorError } from '../errors.ts';

/** Namespaces need CAP_SYS_ADMIN; AppArmor's default profile for containers forbids entering them all the same. */
const DOCKER =
  'docker run --device /dev/net/tun --cap-add NET_ADMIN --cap-add SYS_ADMIN --security-opt apparmor=unconfined ...';

/** The commands that build namespaces. */
export type LabCommand = 'lab' | 'bench';

export function noPrivilege(missing: readonly string[], command: LabCommand): OperatorError {
  const root = process.geteuid?.() === 0;
  return new OperatorError({
    code: `${command.toUpperCase()}_PRIVILEGE`,
    what: `the ${command} may not create network namespaces here`,
    why: `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing${root ? ', although this is root: a container?' : ''}`,
    fix: fixOf(root, command),
    exitCode: ExitCode.Privilege,
  });
}

function fixOf(root: boolean, command: LabCommand): string {
  const fix = root
    ? `start the container with: ${DOCKER}`
    : `run it as root: sudo tsvpn ${command}\nin a container: ${DOCKER}`;
  return command === 'bench' ? `${fix}\nwithout privilege: tsvpn bench --only codec,pipeline` : fix;
}

export function interrupted(command: LabCommand): OperatorError {
  return new OperatorError({
    code: `${command.toUpperCase()}_INTERRUPTED`,
    what: `interrupted; everything the ${command} had made is removed`,
    exitCode: ExitCode.Failure,
  });
}
