/** The exit codes as `tsvpn help exit-codes` prints them; the type makes a code without a meaning an error. */
import { ExitCode } from '../errors.ts';

const MEANING: Readonly<Record<keyof typeof ExitCode, string>> = {
  Ok: 'success; for `up`: the tunnel ended as it was told to (signal, `tsvpn down`, ping-exit)',
  Failure: 'something failed that has no code of its own',
  Usage: 'the command line or the config file is wrong',
  Key: 'the key file is missing, unreadable, malformed or too weak',
  Privilege: 'no CAP_NET_ADMIN, no /dev/net/tun, or no permission for a file of the running tunnel',
  Busy: 'the name, the device or the port is in use',
  PeerSilent: 'with --wait: the peer did not answer in time',
  Bug: 'a fault in tsvpn itself; please report it',
};

export const EXIT_CODES: readonly { code: ExitCode; meaning: string }[] = Object.entries(ExitCode).map(
  ([name, code]) => ({ code, meaning: MEANING[name as keyof typeof ExitCode] }),
);

export function renderExitCodes(): string {
  const rows = EXIT_CODES.map(({ code, meaning }) => `  ${String(code).padStart(2)}  ${meaning}`);
  const advice = [
    'A service manager should not restart after 2 and 3: they need a person. With systemd:',
    '  RestartPreventExitStatus=2 3',
  ];
  return ['Exit codes of tsvpn:', '', ...rows, '', ...advice, ''].join('\n');
}
