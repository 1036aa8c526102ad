import { choice, int, optional, rest, word } from '../arguments.ts';
import { set } from '../draft.ts';
import type { Draft } from '../draft.ts';
import { refuse } from '../findings.ts';
import type { Line } from '../lexer.ts';
import type { DirectiveSpec, Section } from './spec.ts';
import { ignored, later, refused, supported } from './spec.ts';

const READ_BY_PARSER = () => undefined;
const LOG = 'tsvpn logs to standard error; let systemd or a shell redirection keep it';
const PRIVILEGE = 'remove it; run tsvpn under a service manager that confines it';
const commandLine = (name: string, help: string): DirectiveSpec =>
  refused(name, help, 'it is a command of its own, not part of a tunnel', 'tsvpn --help');

function refuseServer(draft: Draft, line: Line): void {
  draft.tlsMode = true;
  refuse(draft.findings, line.where, 'CONFIG_TLS', 'mode server needs TLS', {
    why: 'a static key connects two peers; tsvpn speaks static key',
    fix: 'remove the line, and run one tunnel per peer',
  });
}

const MANAGEMENT = [
  'management',
  'management-client',
  'management-client-group',
  'management-client-pf',
  'management-client-user',
  'management-forget-disconnect',
  'management-hold',
  'management-log-cache',
  'management-query-passwords',
  'management-query-proxy',
  'management-query-remote',
  'management-signal',
  'management-up-down',
];
const MANAGEMENT_TLS = ['management-client-auth', 'management-external-cert', 'management-external-key'];

export const PROCESS: Section = {
  title: 'Files, logs and process',
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
      'A block <connection> with one `remote` and its `proto`, `port` or `rport`.',
      READ_BY_PARSER,
      {
        block: true,
        difference:
          'Only `remote`, `proto` and `rport` inside; OpenVPN keeps some twenty settings per block.',
      },
    ),
    supported(
      'verb',
      [int('LEVEL', 0, 15)],
      'How much to log: 1 important things, 3 the usual choice, 4 and more for diagnosis.',
      (draft, [level], line) => set(draft, 'verb', level, line),
      {
        preset: '1',
        shared: true,
        difference:
          'Key material is never logged, whatever the level; messages are those of tsvpn but for the lines people search for.',
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
      difference: 'Always on, as in OpenVPN 2.7.',
    }),
    supported(
      'persist-tun',
      [],
      'Keep the device over restarts, as tsvpn always does, and a redirected gateway while the name of the remote is looked up again.',
      (draft, _, line) => set(draft, 'persistTun', true, line),
      { shared: true, difference: 'The device is always kept over soft restarts.' },
    ),
    supported(
      'mode',
      [choice(['p2p', 'server'])],
      'p2p; a server needs TLS.',
      (draft, [mode], line) => {
        if (mode === 'server') refuseServer(draft, line);
      },
      { shared: true },
    ),
    later('daemon', 'Run in the background.', 'tsvpn up --daemon FILE, or a systemd unit'),
    later('log', 'Log to a file.', LOG),
    later('log-append', 'Log to the end of a file.', LOG),
    later('syslog', 'Log to syslog.', LOG),
    later('user', 'Change the user after start.', PRIVILEGE),
    later('group', 'Change the group after start.', PRIVILEGE),
    later('chroot', 'Change the root directory after start.', PRIVILEGE),
    later('remap-usr1', 'What SIGUSR1 does.', 'remove it'),
    ...MANAGEMENT.map((name) =>
      later(name, 'The management interface.', 'use `tsvpn status` and `tsvpn down`'),
    ),
    ...MANAGEMENT_TLS.map((name) =>
      refused(
        name,
        'The management interface, for TLS.',
        'a static-key tunnel has no certificates',
        'remove it',
      ),
    ),
    ignored('machine-readable-output', 'Log format.', 'redirect the log, and tsvpn writes JSON'),
    ignored('errors-to-stderr', 'Errors to standard error, where tsvpn logs anyway.'),
    ignored('nice', 'Priority of the process.', 'start tsvpn with nice(1)'),
    ignored('mlock', 'Keep memory out of swap.', 'tsvpn does not lock its memory'),
    ignored('setcon', 'SELinux context.', 'let the service manager set the context'),
    ignored(
      'echo',
      'Text for the management interface.',
      undefined,
      'OpenVPN shows it on the management interface.',
    ),
    ignored(
      'parameter',
      'Text for the management interface.',
      undefined,
      'OpenVPN shows it on the management interface.',
    ),
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
