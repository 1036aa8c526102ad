import type { TransportProtocol } from '../../protocol/constants.ts';
import { choice, host, int, intOrInfinite, optional, port, word } from '../arguments.ts';
import { set } from '../draft.ts';
import type { Draft, DraftProtocol } from '../draft.ts';
import { refuse } from '../findings.ts';
import type { Line } from '../lexer.ts';
import { ignored, refused, supported } from './spec.ts';
import type { Section } from './spec.ts';

/** Every protocol name OpenVPN has; which of them work here is decided in readProtocol(). */
// prettier-ignore
const protocolName = choice(
  [
    'udp', 'udp4', 'udp6', 'tcp', 'tcp4', 'tcp6', 'tcp-client', 'tcp4-client', 'tcp6-client', 'tcp-server',
    'tcp4-server', 'tcp6-server',
  ],
  'PROTOCOL',
);

/** A TCP protocol without a role is refused (recorded), and read as UDP. */
function readProtocol(draft: Draft, name: string, line: Line): DraftProtocol {
  const family = name.includes('4') ? 'ipv4' : name.includes('6') ? 'ipv6' : 'any';
  if (name.startsWith('udp')) return { protocol: 'udp', family };
  if (!name.includes('-')) {
    refuse(draft.findings, line.where, 'CONFIG_PROTO_AMBIGUOUS', `proto ${name} is ambiguous here`, {
      why: 'a TCP tunnel between two peers has a client, which calls, and a server',
      fix: `use \`proto ${name}-server\` on the end that is called and \`proto ${name}-client\` on the other, or \`proto udp\` on both`,
    });
    return { protocol: 'udp', family };
  }
  return { protocol: name.endsWith('server') ? 'tcp-server' : 'tcp-client', family };
}

function addRemote(
  draft: Draft,
  name: string,
  portNumber: number | undefined,
  protoName: string | undefined,
  line: Line,
): void {
  const proto = protoName === undefined ? undefined : readProtocol(draft, protoName, line);
  draft.remotes.push({ value: { host: name, port: portNumber, proto }, where: line.where });
}

/** `proto-force tcp` means either role. */
function forcedProtocols(name: string): readonly TransportProtocol[] {
  if (name === 'tcp') return ['tcp-client', 'tcp-server'];
  return [name as TransportProtocol];
}

const PROXY = 'tsvpn does not support proxies';
const proxy = (name: string, help: string) => refused(name, help, PROXY, 'let both ends talk UDP directly');
const BUFFER = {
  preset: '8 MiB for UDP',
  difference: 'Without the line OpenVPN leaves a UDP socket the size that the system gives, mostly 208 KiB.',
};
const NODELAY = { difference: 'OpenVPN up to 2.6 waits for more to send (Nagle) without the line.' };
const ALWAYS_NODELAY = 'A TCP connection sends at once; tsvpn always does.';

export const TRANSPORT: Section = {
  title: 'Transport',
  directives: [
    supported(
      'remote',
      [host, optional(port(1)), optional(protocolName)],
      'The peer. May be given several times; a restart goes on to the next one.',
      (draft, [name, portNumber, proto], line) => addRemote(draft, name, portNumber, proto, line),
      { preset: 'none: follow whoever sends packets made with the key, or whoever calls' },
    ),
    supported(
      'proto',
      [protocolName],
      'udp, or tcp-client (this end calls) or tcp-server (this end is called); with 4 or 6 (udp4, tcp6-server) for one family.',
      (draft, [name], line) => set(draft, 'proto', readProtocol(draft, name, line), line),
      {
        preset: 'udp',
        difference:
          'A tcp-server that has not heard the peer yet takes a few more connections, so that a stranger does not keep it out. ' +
          '`tcp` is refused, as by OpenVPN up to 2.6; 2.7 reads it as `tcp-client`.',
      },
    ),
    supported(
      'port',
      [port(1)],
      'Port of both ends.',
      (draft, [number], line) => {
        set(draft, 'localPort', number, line);
        set(draft, 'remotePort', number, line);
      },
      { preset: '1194' },
    ),
    supported(
      'lport',
      [port(0)],
      'Port of this end; 0 lets the kernel choose.',
      (draft, [number], line) => {
        set(draft, 'lport', number, line);
        set(draft, 'localPort', number, line);
      },
      { preset: '1194' },
    ),
    supported(
      'rport',
      [port(1)],
      "The peer's port.",
      (draft, [number], line) => set(draft, 'remotePort', number, line),
      {
        preset: '1194',
      },
    ),
    supported('local', [host], 'Address of this end to send from and listen on.', (draft, [name], line) =>
      set(draft, 'localHost', name, line),
    ),
    supported(
      'bind',
      [optional(choice(['ipv6only']))],
      'Listen on the local port; `ipv6only` turns IPv4 off on an IPv6 socket.',
      (draft, [option], line) => set(draft, 'bind', { ipv6Only: option !== undefined }, line),
      { preset: 'on; off for tcp-client' },
    ),
    supported('nobind', [], 'Send from any free port; needs `remote`.', (draft, _, line) =>
      set(draft, 'nobind', true, line),
    ),
    supported(
      'float',
      [],
      'With `remote`: accept packets made with the key from any address and follow the peer there.',
      (draft, _, line) => set(draft, 'float', true, line),
    ),
    supported(
      'resolv-retry',
      [intOrInfinite('SECONDS', 'infinite', 86400)],
      'How long to retry when the name of the peer does not resolve, before it is the turn of the next remote; with 0 the tunnel ends.',
      (draft, [seconds], line) => set(draft, 'resolveRetrySec', seconds, line),
      { preset: 'infinite' },
    ),
    supported(
      'connect-retry',
      [int('SECONDS', 0, 86400), optional(int('MAX', 0, 86400))],
      'Pause before a restart; a tcp-client that fails again and again doubles it, up to MAX.',
      (draft, [seconds, most], line) => {
        set(draft, 'connectRetrySec', seconds, line);
        if (most !== undefined) set(draft, 'connectRetryMaxSec', most, line);
      },
      {
        preset: '1 300',
        difference:
          'OpenVPN 2.5 and older pause 5 seconds without the line, 2.7 always 2; MAX is unknown to 2.3 and older.',
      },
    ),
    supported(
      'connect-retry-max',
      [int('ROUNDS', 0, 1_000_000)],
      'Give up after so many rounds through the remotes; 0 never does.',
      (draft, [rounds], line) => set(draft, 'connectRetryMax', rounds, line),
      { preset: '0' },
    ),
    supported(
      'connect-timeout',
      [int('SECONDS', 1, 86400)],
      'How long a TCP connection may take to come about.',
      (draft, [seconds], line) => set(draft, 'connectTimeoutSec', seconds, line),
      { preset: '120', aliases: ['server-poll-timeout'] },
    ),
    supported('remote-random', [], 'Shuffle the remotes once at start.', (draft, _, line) =>
      set(draft, 'remoteRandom', true, line),
    ),
    supported('persist-remote-ip', [], "Keep the peer's address over restarts.", (draft, _, line) =>
      set(draft, 'persistRemoteIp', true, line),
    ),
    supported(
      'persist-local-ip',
      [],
      'Keep the local address over restarts; tsvpn always does.',
      () => undefined,
      { difference: 'None: the address is kept in any case.' },
    ),
    supported(
      'mark',
      [int('VALUE', 0, 0xffffffff)],
      'Firewall mark (SO_MARK) of the socket.',
      (draft, [value], line) => set(draft, 'mark', value, line),
    ),
    supported('bind-dev', [word('DEVICE')], 'Bind the socket to a network device.', (draft, [name], line) =>
      set(draft, 'bindDevice', name, line),
    ),
    supported(
      'sndbuf',
      [int('BYTES', 0, 0x7fffffff)],
      'Send buffer of the socket; 0 is no line.',
      (draft, [bytes], line) => set(draft, 'sendBufferBytes', bytes, line),
      BUFFER,
    ),
    supported(
      'rcvbuf',
      [int('BYTES', 0, 0x7fffffff)],
      'Receive buffer of the socket; 0 is no line.',
      (draft, [bytes], line) => set(draft, 'receiveBufferBytes', bytes, line),
      BUFFER,
    ),
    supported(
      'mtu-disc',
      [choice(['yes', 'maybe', 'no'])],
      'Path MTU discovery on the UDP socket: never fragment, as the route says, always allow fragments.',
      (draft, [mode], line) => set(draft, 'mtuDiscovery', mode, line),
      {
        preset: "the system's",
        difference: 'A wrong word is an error with its place; OpenVPN ends with `invalid --mtu-disc type`.',
      },
    ),
    supported(
      'allow-recursive-routing',
      [],
      "Send packets into the tunnel even when they go to the peer's own address.",
      (draft, _, line) => set(draft, 'allowRecursiveRouting', true, line),
    ),
    supported(
      'proto-force',
      [choice(['udp', 'tcp', 'tcp-client', 'tcp-server'])],
      'Use only remotes of this protocol.',
      (draft, [name], line) => set(draft, 'protoForce', forcedProtocols(name), line),
      { difference: '`tcp` means both roles; OpenVPN finds no remote then.' },
    ),
    supported(
      'multihome',
      [],
      'Answer from the address, and by the interface, that the peer talks to.',
      (draft, _, line) => set(draft, 'multihome', true, line),
      {
        difference:
          'Follows when the peer calls another address of this end; OpenVPN only when the address of the peer changes.',
      },
    ),
    supported(
      'passtos',
      [],
      'Give datagrams the DSCP of the packets in them, IPv6 included; ECN as RFC 6040 has it.',
      (draft, _, line) => set(draft, 'passTos', true, line),
      {
        difference:
          'OpenVPN copies the byte of IPv4 packets only, ECN bits included, and loses marks of congestion; pings keep the last byte.',
      },
    ),
    supported(
      'shaper',
      [int('BYTES_PER_SECOND', 100, 100_000_000)],
      'Limit what is sent to the peer, outer headers included. The only peer of a gateway is paced; with several, what is ' +
        'more than 250 ms ahead is dropped.',
      (draft, [rate], line) => set(draft, 'shaperBytesPerSec', rate, line),
      { preset: 'off', difference: 'Short bursts (10 ms of the rate) leave at once.' },
    ),
    supported(
      'remote-random-hostname',
      [],
      'Put a random label in front of the name of the remote at each look-up, past all caches.',
      (draft, _, line) => set(draft, 'remoteRandomHostname', true, line),
    ),
    supported(
      'preresolve',
      [],
      'Look up all remotes at start, and not again.',
      (draft, _, line) => set(draft, 'preresolve', true, line),
      { difference: 'A name that fails is looked up again when its turn comes; OpenVPN 2.6 starts over.' },
    ),
    supported('tcp-nodelay', [], ALWAYS_NODELAY, () => undefined, NODELAY),
    supported('socket-flags', [choice(['TCP_NODELAY'])], ALWAYS_NODELAY, () => undefined, NODELAY),
    ignored(
      'tcp-queue-limit',
      'Output queue of a TCP server.',
      undefined,
      'None: OpenVPN accepts it without effect, too.',
    ),
    ignored(
      'bcast-buffers',
      'Broadcast buffers of a server.',
      undefined,
      'None: OpenVPN accepts it without effect, too.',
    ),
    ignored(
      'fast-io',
      'Skip a poll before writing; tsvpn reads and writes in batches anyway.',
      undefined,
      'None that can be seen: system calls move many packets anyway.',
    ),
    ignored(
      'ip-remote-hint',
      'Address to use for a remote.',
      'write the address into `remote` instead',
      'OpenVPN 2.6 reads it as `preresolve`, and does nothing with the address.',
    ),
    ignored(
      'remote-ip-hint',
      'Other spelling of ip-remote-hint.',
      'write the address into `remote` instead',
      'The name up to 2.3; 2.6 knows only `ip-remote-hint`.',
    ),
    proxy('http-proxy', 'Connect through an HTTP proxy.'),
    proxy('http-proxy-option', 'HTTP proxy settings.'),
    proxy('http-proxy-override', 'HTTP proxy settings.'),
    proxy('http-proxy-user-pass', 'HTTP proxy password.'),
    proxy('http-proxy-retry', 'HTTP proxy settings.'),
    proxy('http-proxy-fallback', 'HTTP proxy settings (OpenVPN 2.2).'),
    proxy('auto-proxy', "The system's proxy (OpenVPN 2.2)."),
    proxy('http-proxy-timeout', 'HTTP proxy settings.'),
    proxy('socks-proxy', 'Connect through a SOCKS proxy.'),
    proxy('socks-proxy-retry', 'SOCKS proxy settings.'),
    refused('port-share', 'Share a TCP port with a web server.', 'it belongs to a TLS server', 'remove it'),
    refused('gremlin', "OpenVPN's fault injector.", 'it damages packets on purpose', 'remove it'),
  ],
};
