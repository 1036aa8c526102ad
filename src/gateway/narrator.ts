/**
 * Tells the operator what happens to one peer, in OpenVPN's words where people search for them, and in ours where stock
 * is silent: which options differ from the peer's.
 */
import { isIPv4 } from 'node:net';
import { connectionSettings } from '../config/connection-settings.ts';
import type { PeerConfig, ProcessConfig } from '../config/model.ts';
import { adviseOcc } from '../config/occ-advice.ts';
import { bindsPort } from '../config/protocols.ts';
import type { Logger } from '../control/log.ts';
import { ECONNREFUSED } from '../ffi/constants.ts';
import type { LocalAddress, PathMtuChange, RestartReason, TurnedAway } from '../engine/messages.ts';
import { IPV6_MIN_MTU } from '../packet/ipv6.ts';
import type { TransportProtocol } from '../protocol/constants.ts';
import {
  compareOccOptions,
  escapePeerText,
  expectedPeerOptions,
  type OccOptions,
} from '../protocol/occ-options.ts';
import { AF_INET6, formatEndpoint } from '../transport/endpoint.ts';
import type { Connection } from './connector.ts';
import { errnoName, errnoText } from './errno-text.ts';
import { boundText } from './open-socket.ts';
import type { ResolvedRemote } from './remotes.ts';
import { carriesIpv6 } from './settings.ts';
import { interfaceName } from './zone.ts';

/** What a restart is: SIGUSR1, unless `remap-usr1` says otherwise; `tsvpn restart` means what it says. */
export function restartSignal(reason: RestartReason, remap: RemapUsr1): 'SIGHUP' | 'SIGUSR1' | 'SIGTERM' {
  return (reason === 'control' ? undefined : remap) ?? 'SIGUSR1';
}

/** As stock has it: `[AF_INET]192.0.2.1%eth0`, `2001:db8::1%eth0`. */
function formatLocalAddress({ address, interfaceIndex }: LocalAddress): string {
  return `${isIPv4(address) ? '[AF_INET]' : ''}${address}%${interfaceName(interfaceIndex)}`;
}

type RemapUsr1 = ProcessConfig['remapUsr1'];

function formatPlace({ where }: PeerConfig): string {
  return `${where.file}:${where.line}`;
}

const PROTOCOL_NAMES: Readonly<Record<TransportProtocol, string>> = {
  udp: 'UDPv4',
  'tcp-client': 'TCPv4_CLIENT',
  'tcp-server': 'TCPv4_SERVER',
};

function remoteText(remote: ResolvedRemote | undefined): string {
  if (remote === undefined) return '[AF_UNSPEC]';
  const tag = remote.family === 6 ? 'AF_INET6' : 'AF_INET';
  return `[${tag}]${remote.addresses[0]}:${remote.remote.port}`;
}

/** As stock lists them. */
function timersOf({ timers }: PeerConfig): string[] {
  const { pingSec, pingTimeoutSec, pingTimeoutAction, inactive, sessionTimeoutSec } = timers;
  return [
    ...(pingSec > 0 ? [`ping ${pingSec}`] : []),
    ...(pingTimeoutSec > 0 ? [`ping-${pingTimeoutAction} ${pingTimeoutSec}`] : []),
    ...(inactive === undefined ? [] : [`inactive ${inactive.seconds}`]),
    ...(sessionTimeoutSec > 0 ? [`session-timeout ${sessionTimeoutSec}`] : []),
  ];
}

const TURNED_AWAY: Readonly<Record<TurnedAway, string>> = {
  silent: 'it has sent nothing for 30 seconds, and another one may be the peer',
  crowded: 'more connections came than are held until the peer has sent something',
  forged: 'what it sent was not made with the key, or was sent before',
  'bad-length': 'what it sent is not OpenVPN',
  closed: 'its other end has closed it',
  outdone: 'another one is the peer',
};
/** At most one line about these in this time, milliseconds. */
const TURNED_AWAY_REPORT_MS = 10_000;

/** A peer whose options change more often than that wants to fill the log. */
const MAX_OCC_REPORTS = 10;

export class Narrator {
  private readonly log: Logger;
  private readonly config: PeerConfig;
  private options: OccOptions | undefined;
  private occReported = '';
  private occReports = 0;
  private nextTurnedAwayMs = 0;

  constructor(log: Logger, config: PeerConfig) {
    this.log = log;
    this.config = config;
  }

  /** `options`: what our option string says over this link; `kept`: where the peer was before the restart, and is called. */
  socketOpened(connection: Connection, options: OccOptions, kept: string | undefined): void {
    const { socket, remote, remotes, protocol } = connection;
    this.options = options;
    const proto = PROTOCOL_NAMES[protocol].replace('v4', socket.family === AF_INET6 ? 'v6' : 'v4');
    const settings = connectionSettings(this.config.transport, remote?.remote);
    const local = boundText(socket, settings.localHost);
    if (kept !== undefined) this.log.info(`TCP/UDP: Preserving recently used remote address: ${kept}`);
    this.socketBuffers(socket);
    const { shaperBytesPerSec } = this.config.transport;
    if (shaperBytesPerSec > 0)
      this.log.info(`Output Traffic Shaping initialized at ${shaperBytesPerSec} bytes per second`);
    this.log.info(
      bindsPort(settings, protocol)
        ? `${proto} link local (bound): ${local}`
        : `${proto} link local: (not bound)`,
    );
    const called = protocol === 'udp' ? remoteText(remote) : formatEndpoint(remotes[0], 0);
    this.log.info(`${proto} link remote: ${kept ?? called}`);
  }

  private socketBuffers(socket: Connection['socket']): void {
    const { receiveBufferBytes, sendBufferBytes } = socket;
    // What a connection has was fitted to its path meanwhile.
    if (!('systemBuffers' in socket)) return;
    const { receive, send } = socket.systemBuffers;
    this.log.detail(`Socket Buffers: R=[${receive}->${receiveBufferBytes}] S=[${send}->${sendBufferBytes}]`);
    const { transport } = this.config;
    this.bufferLimited('rcvbuf', transport.receiveBufferBytes, receiveBufferBytes, 'net.core.rmem_max');
    this.bufferLimited('sndbuf', transport.sendBufferBytes, sendBufferBytes, 'net.core.wmem_max');
  }

  /** The kernel grants twice what is asked for, up to its limit (socket(7)). */
  private bufferLimited(line: string, wanted: number | undefined, granted: number, limit: string): void {
    if (wanted === undefined || granted >= 2 * wanted) return;
    this.log.warn(
      `${line} ${wanted}: the system allows ${granted / 2} bytes only; raise ${limit}, or start as root`,
    );
  }

  peerHeard(endpoint: string, via: LocalAddress | undefined): void {
    const shown = via === undefined ? '' : ` (via ${formatLocalAddress(via)})`;
    this.log.info({ endpoint }, `Peer Connection Initiated with ${endpoint}${shown}`);
  }

  /** The peer was heard, and device and routes are there. */
  completed(): void {
    this.log.info('Initialization Sequence Completed');
    const timers = timersOf(this.config);
    if (timers.length > 0) this.log.summary(`Timers: ${timers.join(', ')}`);
  }

  sourceRejected(endpoint: string): void {
    this.log.warn(
      { endpoint, reason: 'source' },
      `TCP/UDP: Incoming packet rejected from ${endpoint}: it is not the configured remote ` +
        '(allow this source address and port by removing `remote` or adding `float`)',
    );
  }

  /** `who`: what restarts in stock's words, the process, or in those for several peers. */
  restarting(reason: RestartReason, who: 'process' | 'peer', remap: RemapUsr1): void {
    if (reason === 'remote-exit') this.log.info('OCC exit message received by peer');
    if (reason === 'connection-reset') this.log.info('Connection reset, restarting [0]');
    if (reason === 'decryption-error')
      this.log.warn('Fatal decryption error (process_incoming_link), restarting');
    if (reason === 'ping-restart') this.log.info('Inactivity timeout (--ping-restart), restarting');
    const signal = restartSignal(reason, remap);
    // A real signal is hard, as stock names it; what acts like one, or has become another one, is soft.
    const soft = reason === 'connection-failed' ? 'connection failed(soft)' : 'soft';
    const origin = reason !== 'sigusr1' ? `${soft},${reason}` : signal === 'SIGUSR1' ? 'hard,' : 'soft,';
    const what = signal === 'SIGTERM' ? 'exiting' : 'restarting';
    this.log.info({ reason }, `${signal}[${origin}] received, ${who} ${what}`);
  }

  badLength(length: number, longest: number): void {
    this.log.warn(
      { reason: 'bad-length', length },
      `WARNING: Bad encapsulated packet length from peer (${length}), which must be > 0 and <= ${longest}: whoever is ` +
        'connected speaks something else than OpenVPN, or fails',
    );
  }

  /** `reporter`: who says so; undefined for this host, which could not even send. */
  unreachable(endpoint: string, errno: number, reporter: string | undefined): void {
    const [, host, port] = /\](.*):(\d+)$/.exec(endpoint) ?? [];
    const code = `${reporter === undefined ? 'write' : 'read'} UDPv${isIPv4(host) ? 4 : 6} [${errnoName(errno)}]: ${errnoText(errno)}`;
    const place = `${isIPv4(host) ? host : `[${host}]`}:${port}`;
    if (reporter !== undefined && errno === ECONNREFUSED)
      return this.log.info({ endpoint }, `${code}: nothing listens at ${place}; is the other end started?`);
    const who =
      reporter === undefined
        ? 'this host cannot send there: see its routes and firewall'
        : reporter === host
          ? 'that host refuses packets: see its firewall'
          : `${reporter} cannot pass packets on`;
    this.log.warn({ endpoint }, `${code}: ${place} is not reached, ${who}`);
  }

  turnedAway(endpoint: string, why: TurnedAway): void {
    if (Date.now() < this.nextTurnedAwayMs) return;
    this.nextTurnedAwayMs = Date.now() + TURNED_AWAY_REPORT_MS;
    this.log.warn(
      { endpoint, reason: why },
      `TCP NOTE: Closed the connection from ${endpoint}: ${TURNED_AWAY[why]}`,
    );
  }

  spoofed(address: string): void {
    this.log.warn(
      { reason: 'spoofed', address },
      `dropped a packet from ${this.config.name} with the source ${address}, which is not routed to it; if that is ` +
        `right, give the peer (${formatPlace(this.config)}) an \`allowed-source\` or \`peer-route\` with it`,
    );
  }

  /** What may be sent to the peer has changed. */
  pathMtu({ why, toPeer, fromPeer, inner, mss, fragment }: PathMtuChange): void {
    const sizes = [
      fragment > 0
        ? `fragments in outer IP packets of up to ${fragment} bytes`
        : `inner packets of up to ${inner} bytes`,
      ...(mss > 0 ? [`MSS ${mss}`] : []),
    ].join(', ');
    if (why === 'forgotten') return this.log.info(`path MTU: not known any more; ${sizes}`);
    const limit = toPeer === undefined ? 'of any length' : `of up to ${toPeer} bytes`;
    const both = fromPeer === undefined || fromPeer === toPeer ? '' : `, of up to ${fromPeer} from it`;
    const source = why === 'told' ? ', a router says' : '';
    this.log.info(`path MTU: outer IP packets ${limit} to the peer${both}${source}; ${sizes}`);
    if (inner >= IPV6_MIN_MTU || fragment > 0 || !carriesIpv6(this.config)) return;
    this.log.warn(
      `IPv6 inside the tunnel needs inner packets of ${IPV6_MIN_MTU} bytes, and the path carries ${inner}: add \`fragment\` on both ` +
        'ends; `tsvpn mtu` says how much',
    );
  }

  /** The peer's option string: says in words what differs, once per distinct string. */
  peerOptions(received: string): void {
    if (received === this.occReported || this.occReports >= MAX_OCC_REPORTS) return;
    this.occReported = received;
    this.occReports += 1;
    this.log.debug(`the peer's options: ${escapePeerText(received)}`);
    if (this.options === undefined) return;
    const expected = expectedPeerOptions(this.options);
    for (const difference of compareOccOptions(expected, received)) {
      const advice = adviseOcc(this.config, difference);
      this.log.warn(`WARNING: '${difference.option}' is used inconsistently: ${advice}`);
    }
  }
}
