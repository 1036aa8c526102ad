import { int, optional, rest, text, word } from '../arguments.ts';
import { set } from '../draft.ts';
import type { Draft, DraftCommand, Settings } from '../draft.ts';
import { DNS_FORMS, readDns } from '../dns.ts';
import { refuse } from '../findings.ts';
import { splitCommand } from '../lexer.ts';
import type { Line } from '../lexer.ts';
import { ignored, supported } from './spec.ts';
import type { DirectiveSpec, Section } from './spec.ts';

type CommandKey = 'up' | 'down' | 'routeUp' | 'routePreDown' | 'ipchange';
type FlagKey = { [Key in keyof Settings]: Settings[Key] extends true ? Key : never }[keyof Settings];

const READ_BY_PARSER = () => undefined;

/** The command is one word of the line, as in stock, whose words follow the same rules. */
function readCommand(draft: Draft, line: Line): DraftCommand | undefined {
  const [command, extra] = line.words;
  if (extra !== undefined) {
    refuse(draft.findings, extra.where, 'CONFIG_ARGUMENTS', `${line.name} takes one argument`, {
      why: 'arguments of the script belong to it',
      fix: `put the script and its arguments in quotes together: ${line.name} "SCRIPT ARGUMENT..."`,
    });
    return undefined;
  }
  const words = splitCommand(command, draft.findings);
  if (words === undefined) return undefined;
  if (words.length > 0) return { text: command.text, words };
  refuse(draft.findings, command.where, 'CONFIG_ARGUMENT', `${line.name}: there is no script`, {
    fix: `${line.name} /etc/tsvpn/script.sh`,
  });
  return undefined;
}

function script(name: string, key: CommandKey, help: string): DirectiveSpec {
  return supported(
    name,
    [rest('COMMAND')],
    help,
    (draft, _, line) => {
      const command = readCommand(draft, line);
      if (command !== undefined) set(draft, key, command, line);
    },
    { shared: true, forms: [`${name} COMMAND`] },
  );
}

function flag(name: string, key: FlagKey, help: string): DirectiveSpec {
  return supported(name, [], help, (draft, _, line) => set(draft, key, true, line), { shared: true });
}

export const SCRIPTS: Section = {
  title: 'Scripts',
  intro: `A script is run directly, without a shell, with OpenVPN's arguments behind its own and OpenVPN's environment: the names below
and nothing of tsvpn's own environment, not even \`PATH\`. \`COMMAND\` is one word: put it in quotes to give arguments. What a script prints
goes where the log goes. It is ended after 60 seconds.

\`up\`, \`down\` and \`route-pre-down\` get \`DEVICE MTU 0 LOCAL REMOTE|NETMASK init|restart\`, \`ipchange\` gets one word,
\`[AF_INET]ADDRESS PORT\`. Always there: \`config\`, \`verb\`, \`daemon\`, \`daemon_log_redirect\`, \`daemon_pid\`, \`daemon_start_time\`,
\`script_type\`, \`script_context\`, \`proto_N\`, \`local_N\`, \`local_port_N\`, \`remote_N\`, \`remote_port_N\`; of the device \`dev\`, \`dev_type\`,
\`tun_mtu\`, \`ifconfig_local\`, \`ifconfig_remote\` or \`ifconfig_netmask\`, \`ifconfig_ipv6_local\`, \`ifconfig_ipv6_netbits\`,
\`ifconfig_ipv6_remote\`; of routes \`route_network_N\`, \`route_netmask_N\`, \`route_gateway_N\`, \`route_metric_N\`,
\`route_ipv6_network_N\`, \`route_ipv6_gateway_N\`, \`route_ipv6_metric_N\`, \`route_vpn_gateway\`, \`route_net_gateway\`, \`net_gateway_ipv6\`,
\`redirect_gateway\`; of \`dns\` lines \`dns_search_domain_N\`, \`dns_server_N_address_M\` and so on; of the peer \`trusted_ip\` or \`trusted_ip6\` and \`trusted_port\`; at the end \`signal\`.

With several peers the device has one \`up\` and one \`down\`; \`remote_N\` and \`route_network_N\` count through all peers in the order
of the config, and \`ipchange\` is run for each peer, with its name in \`tsvpn_peer\`.`,
  directives: [
    supported(
      'script-security',
      [int('LEVEL', 0, 3)],
      'Scripts are run from level 2 on. Level 3 is the same: a static-key tunnel has no passwords to hand over.',
      (draft, [level], line) => set(draft, 'scriptSecurity', level, line),
      {
        preset: '1',
        shared: true,
        difference: 'Level 3 is the same as 2: there are no passwords to hand over.',
      },
    ),
    script(
      'up',
      'up',
      'Run when the device has its addresses, before the routes. A failure ends the tunnel.',
    ),
    script('down', 'down', 'Run when the device is closed. After a failure the exit code is 1.'),
    script('route-up', 'routeUp', 'Run when the routes are there.'),
    script(
      'route-pre-down',
      'routePreDown',
      'Run before the routes are taken away. After a failure the exit code is 1.',
    ),
    script('ipchange', 'ipchange', "Run when the peer's address is known, and when it changes."),
    flag(
      'up-delay',
      'upDelay',
      'The device gets its addresses, and `up` is run, when the peer has been heard. Until then it is there, but down.',
    ),
    flag(
      'up-restart',
      'upRestart',
      'Run `down` and `up` for a restart, too, with `restart` as last argument.',
    ),
    flag('down-pre', 'downPre', 'Run `down` before the device is closed.'),
    supported(
      'setenv',
      [word('NAME'), optional(rest('VALUE'))],
      'A variable for scripts. `setenv opt DIRECTIVE ...` is a directive that may be unknown.',
      READ_BY_PARSER,
    ),
    supported(
      'setenv-safe',
      [word('NAME'), optional(text('VALUE'))],
      'A variable for scripts, with OPENVPN_ in front of its name.',
      READ_BY_PARSER,
    ),
    supported(
      'dhcp-option',
      [word('TYPE'), optional(text('VALUE'))],
      'DNS and other settings for scripts, as `foreign_option_N`; tsvpn itself changes no DNS settings.',
      (draft, _, line) => draft.dhcpOptions.push(line.words.map((each) => each.text).join(' ')),
      { shared: true, difference: 'None on Linux: OpenVPN changes no DNS settings either.' },
    ),
    supported(
      'dns',
      [word('WHAT'), optional(rest('VALUE'))],
      'DNS servers and search domains for scripts, as `dns_server_N_address_M` and so on; tsvpn itself changes no DNS settings.',
      (draft, _, line) => readDns(draft, line),
      { shared: true, forms: DNS_FORMS },
    ),
    ignored(
      'dns-updown',
      'DNS script (OpenVPN 2.7).',
      'set DNS up in an `up` script',
      'OpenVPN 2.7 runs a script of its own.',
    ),
  ],
};
