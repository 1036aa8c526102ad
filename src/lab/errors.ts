/** The lab's own failures, put for people. */
import { ExitCode, OperatorError } from '../errors.ts';

/** Namespaces need CAP_SYS_ADMIN; AppArmor's default profile for containers forbids entering them all the same. */
const DOCKER =
  'docker run --device /dev/net/tun --cap-add NET_ADMIN --cap-add SYS_ADMIN --security-opt apparmor=unconfined ...';

export function noPrivilege(missing: readonly string[]): OperatorError {
  const root = process.geteuid?.() === 0;
  return new OperatorError({
    code: 'LAB_PRIVILEGE',
    what: 'the lab may not create network namespaces here',
    why: `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing${root ? ', although this is root: a container?' : ''}`,
    fix: root
      ? `start the container with: ${DOCKER}`
      : `run it as root: sudo tsvpn lab\nin a container: ${DOCKER}`,
    exitCode: ExitCode.Privilege,
  });
}

export function interrupted(): OperatorError {
  return new OperatorError({
    code: 'LAB_INTERRUPTED',
    what: 'interrupted; everything the lab had made is removed',
    exitCode: ExitCode.Failure,
  });
}
