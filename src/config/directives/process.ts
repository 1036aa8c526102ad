import { choice, int, optional, rest, signedInt, word } from '../arguments.ts';
import { set } from '../draft.ts';
import type { DirectiveSpec, Section } from './spec.ts';
import { ignored, refused, supported } from './spec.ts';

const READ_BY_PARSER = () => undefined;
const PROGRAM = 'tsvpn';
const commandLine = (name: string, help: string): DirectiveSpec =>
  refused(name, help, 'it is a command of its own, not part of a tunnel', 'tsvpn --help');

export const PROCESS: Section = {
  title: 'Files, logs and process',
  intro: `Lines can be given on the command line as well, as options: \`tsvpn up FILE --verb 4\`; \`tsvpn --config FILE --verb 4\` takes the words
of \`openvpn\` unchanged. FILE may be a pipe (\`tsvpn up <(decrypt peer.conf)\`), \`stdin\` or \`/dev/stdin\`, which a reload cannot
read again.

SIGINT and SIGTERM end the tunnel. SIGHUP reads the config again and makes the difference; OpenVPN starts all over instead. SIGUSR1 restarts
the connections. SIGUSR2 logs statistics. Of signals that come together the first of this list is obeyed. SIGHUP, SIGUSR1 and SIGUSR2 are
ignored during the start, SIGUSR1 also while a restart pauses.`,
  directives: [
    supported('config', [word('FILE')], 'Read another config file at this place.', READ_BY_PARSER, {
      shared: true,
      difference: 'Nested at most 10 deep, as in OpenVPN; the error names both files.',
    }),
    supported('cd', [word('DIRECTORY')], 'Start relative paths from this directory.', READ_BY_PARSER, {
      shared: true,
    }),
    supported(
      'ignore-unknown-option',
      [rest('NAME')],
      'Warn about these directives in later lines, instead of refusing them, when they are unknown.',
      READ_BY_PARSER,
    ),
    supported(
      'connection',
      [],
      'A block <connection> with one `remote` and what holds on the way there: `proto`, `port`, `lport`, `rport`, `local`, `bind`, `nobind`, ' +
        '`float`, `mtu-disc`, `connect-retry`, `connect-timeout`, `explicit-exit-notify`. The lines in front of it count where it says nothing.',
      READ_BY_PARSER,
      {
        block: true,
        difference:
          '`fragment`, `mssfix`, `tun-mtu`, `tun-mtu-extra` and `link-mtu` have to come to the same in all blocks; no proxies. Lines ' +
          'that OpenVPN ignores after a block are errors.',
      },
    ),
    supported(
      'verb',
      [int('LEVEL', 0, 15)],
      'How much to log: 0 errors, 1 warnings and what becomes of connections, 2 ciphers and timers as well, 3 details (the usual choice), 4 and more what helps to find faults.',
      (draft, [level], line) => set(draft, 'verb', level, line),
      {
        preset: '1',
        shared: true,
        difference:
          'Messages are those of tsvpn but for the lines people search for, which come from the same level on; from 4 on all levels are the same: packets are not logged (`tsvpn status`, `tsvpn trace`, tcpdump), and keys never.',
      },
    ),
    supported(
      'mute',
      [int('COUNT', 0, 1_000_000)],
      'After so many warnings of one kind in a row, count the rest.',
      (draft, [count], line) => set(draft, 'mute', count, line),
      {
        preset: '0',
        shared: true,
      },
    ),
    supported(
      'status',
      [word('FILE'), optional(int('SECONDS', 1, 86400))],
      'Write counters to a file at this interval, in the format of OpenVPN.',
      (draft, [path, intervalSec = 60], line) => set(draft, 'status', { path, intervalSec }, line),
      { preset: 'off; 60 seconds', shared: true },
    ),
    supported(
      'status-version',
      [choice(['1', '2', '3'])],
      'All three are the same in a tunnel.',
      READ_BY_PARSER,
      { difference: 'None: in a tunnel OpenVPN writes the same for all three.' },
    ),
    supported(
      'writepid',
      [word('FILE')],
      'Write the process id to a file.',
      (draft, [path], line) => set(draft, 'pidFile', path, line),
      { shared: true },
    ),
    supported(
      'suppress-timestamps',
      [],
      'Log without times.',
      (draft, _, line) => set(draft, 'suppressTimestamps', true, line),
      { shared: true },
    ),
    supported('persist-key', [], 'Keep the key over restarts; tsvpn always does.', READ_BY_PARSER, {
      difference: 'Always on, as in OpenVPN 2.7, which calls the line deprecated.',
    }),
    supported(
      'persist-tun',
      [],
      'Keep the device over restarts, as tsvpn always does, and a redirected gateway while the name of the remote is looked up again.',
      (draft, _, line) => set(draft, 'persistTun', true, line),
      {
        shared: true,
        difference:
          'The device is always kept over soft restarts, and `up` and `down` are run then with `up-restart` only.',
      },
    ),
    supported(
      'mode',
      [choice(['p2p', 'server'])],
      'p2p; a server needs TLS.',
      (draft, [mode], line) => {
        if (mode === 'server') draft.tlsLines.push(line);
      },
      { shared: true },
    ),
    supported(
      'daemon',
      [optional(word('NAME'))],
      'Run in the background, once the tunnel runs: errors of the start reach the terminal. The log goes to syslog under NAME, unless ' +
        '`log` says otherwise.',
      (draft, [name = PROGRAM], line) => set(draft, 'daemon', name, line),
      {
        shared: true,
        difference:
          'The command returns when the device is up, with an error and its exit code if something failed until then; OpenVPN returns after ' +
          'the option checks. Without /dev/log the log is a file in /run/tsvpn.',
      },
    ),
    supported(
      'syslog',
      [optional(word('NAME'))],
      'Log to syslog under NAME.',
      (draft, [name = PROGRAM], line) => set(draft, 'syslog', name, line),
      { preset: 'standard error', shared: true },
    ),
    supported(
      'log',
      [word('FILE')],
      'Log to a file, which is emptied first. What scripts print goes there as well.',
      (draft, [path], line) => set(draft, 'logFile', { path, append: false }, line),
      {
        shared: true,
        difference:
          'Opened when the config has been read; an error that ends the start is told to the terminal as well. In a directory that is not there it is an error; OpenVPN goes on without the file.',
      },
    ),
    supported(
      'log-append',
      [word('FILE')],
      'Log to the end of a file.',
      (draft, [path], line) => set(draft, 'logFile', { path, append: true }, line),
      {
        shared: true,
        difference:
          'Opened when the config has been read; an error that ends the start is told to the terminal as well. In a directory that is not there it is an error; OpenVPN goes on without the file.',
      },
    ),
    supported(
      'machine-readable-output',
      [],
      'Log lines begin with seconds and microseconds since 1970 and a number for the kind of message.',
      (draft, _, line) => set(draft, 'machineReadable', true, line),
      {
        shared: true,
        difference:
          'The clock has milliseconds; the numbers tell errors, warnings, information and details apart.',
      },
    ),
    supported(
      'errors-to-stderr',
      [],
      'Errors go to standard error, as the whole log of tsvpn does.',
      READ_BY_PARSER,
      { difference: 'OpenVPN logs to standard output, tsvpn to standard error.' },
    ),
    supported(
      'nice',
      [signedInt('LEVEL', -20, 19)],
      'Priority of the process; below 0 is higher.',
      (draft, [level], line) => set(draft, 'nice', level, line),
      { shared: true },
    ),
    supported(
      'user',
      [word('USER')],
      'Give up the rights of root when the tunnel is set up, but for those over networks (CAP_NET_ADMIN, CAP_NET_RAW, ' +
        'CAP_NET_BIND_SERVICE). Scripts have no rights from then on, and a reload must be able to read config and key.',
      (draft, [name], line) => set(draft, 'user', name, line),
      {
        shared: true,
        difference:
          'Keeps three capabilities where OpenVPN keeps CAP_NET_ADMIN, in one thread only. Restarts need no rights.',
      },
    ),
    supported(
      'group',
      [word('GROUP')],
      'Change the group as well.',
      (draft, [name], line) => set(draft, 'group', name, line),
      { preset: 'that of the user', shared: true },
    ),
    supported(
      'remap-usr1',
      [choice(['SIGHUP', 'SIGTERM'])],
      'What a restart becomes, by SIGUSR1 or because the peer is silent or has gone: a reload as well, or the end.',
      (draft, [signal], line) => set(draft, 'remapUsr1', signal, line),
      {
        preset: 'a restart of the connection',
        shared: true,
        difference: 'With SIGHUP the connection restarts and the config is read again.',
      },
    ),
    refused(
      'chroot',
      'Change the root directory after start.',
      'Node, /proc and /sys would be out of reach afterwards, and with them what must be undone at the end',
      'remove it; `user` gives up the rights of root, and systemd has ProtectSystem= and RootDirectory=',
    ),
    ignored(
      'mlock',
      'Keep memory, and with it the key, out of swap.',
      "Node cannot work with locked memory; `MemorySwapMax=0` in systemd's unit keeps a service out of swap",
      'OpenVPN locks all its memory.',
    ),
    ignored('setcon', 'SELinux context.', 'let the service manager set the context'),
    ignored(
      'tmp-dir',
      'Directory for files handed to plugins.',
      undefined,
      'None: there is nothing to hand over.',
    ),
    ignored(
      'memstats',
      'File with counters.',
      'use `status FILE` or `tsvpn status`',
      'OpenVPN maps the file and counts in it.',
    ),
    refused(
      'plugin',
      'Load a plugin.',
      'tsvpn cannot load plugins of OpenVPN, which are native code for it',
      'remove it',
    ),
    refused(
      'inetd',
      'Be started by inetd (OpenVPN 2.3 and older).',
      'no current OpenVPN has it',
      'remove it',
    ),
    commandLine('help', 'Help.'),
    commandLine('version', 'Version.'),
    ...[
      'ciphers',
      'digests',
      'engines',
      'tls',
      'curves',
      'groups',
      'gateway',
      'adapters',
      'valid-subnets',
      'pkcs11-ids',
      'proxy-settings',
    ].map((what) => commandLine(`show-${what}`, 'A list.')),
  ],
};
