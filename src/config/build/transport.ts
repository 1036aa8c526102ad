/** Peer addresses, the socket, and the timers that watch over the tunnel. */
import { isIPv4, isIPv6 } from 'node:net';
import type { SourcePosition } from '../../errors.ts';
import type { Draft, DraftConnection, DraftProtocol, DraftRemote, Setting, SomeSettings } from '../draft.ts';
import { warnBesideBlocks } from '../connection.ts';
import { connectionSettings, DEFAULT_PORT } from '../connection-settings.ts';
import { refuse, warn } from '../findings.ts';
import type { PeerConfig, Remote } from '../model.ts';
import { bindsPort, formatProtocol, isStream, protocolsOf } from '../protocols.ts';
import { resolveConnectionSettings, settingsOfConnections } from './connections.ts';

const UDP: DraftProtocol = { protocol: 'udp', family: 'any' };

function checkFamily(
  draft: Draft,
  host: string,
  { protocol, family }: DraftProtocol,
  where: SourcePosition,
): void {
  const fits = !(family === 'ipv4' && isIPv6(host)) && !(family === 'ipv6' && isIPv4(host));
  if (fits) return;
  const name = formatProtocol(protocol, family);
  refuse(draft.findings, where, 'CONFIG_FAMILY', `${host} is not an address of ${name}`, {
    fix: `use \`proto ${protocol}\`, which takes both families`,
  });
}

function resolveRemote(draft: Draft, remote: Setting<DraftRemote>): Remote {
  const { settings } = draft;
  const { host, port, proto } = remote.value;
  const { protocol, family } = proto ?? settings.proto?.value ?? UDP;
  const resolved = {
    host,
    port: port ?? settings.remotePort?.value ?? DEFAULT_PORT,
    protocol,
    family,
    where: remote.where,
  };
  checkFamily(draft, host, resolved, remote.where);
  return resolved;
}

function resolveConnection(draft: Draft, connection: Setting<DraftConnection>): Remote {
  const remote = resolveRemote(draft, connection);
  const settings: SomeSettings = { ...draft.settings, ...connection.value.own };
  const { localHost } = connection.value.own;
  if (localHost !== undefined) checkFamily(draft, localHost.value, remote, localHost.where);
  const own = resolveConnectionSettings(settings);
  const differs = JSON.stringify(own) !== JSON.stringify(resolveConnectionSettings(draft.settings));
  return differs ? { ...remote, connection: own } : remote;
}

/** Those that `proto-force` leaves. */
function resolveRemotes(draft: Draft): Remote[] {
  const remotes = listRemotes(draft);
  const { protoForce } = draft.settings;
  if (protoForce === undefined || remotes.length === 0) return remotes;
  const left = remotes.filter(({ protocol }) => protoForce.value.includes(protocol));
  if (left.length > 0) return left;
  const what = 'no `remote` has the protocol that `proto-force` leaves';
  refuse(draft.findings, protoForce.where, 'CONFIG_PROTO_FORCE', what, { fix: 'remove `proto-force`' });
  return remotes;
}

/** The list of peers: `<connection>` blocks, or else the `remote` lines. */
function listRemotes(draft: Draft): Remote[] {
  const { connections, remotes } = draft;
  if (connections.length === 0) return remotes.map((remote) => resolveRemote(draft, remote));
  warnBesideBlocks(draft);
  return connections.map((connection) => resolveConnection(draft, connection));
}

/** The first of the blocks with a fault will do. */
function checkBindings(draft: Draft, remotes: readonly Remote[]): void {
  const before = draft.findings.errors.length;
  for (const settings of settingsOfConnections(draft)) {
    if (draft.findings.errors.length === before) checkBinding(draft, settings, remotes);
  }
}

function checkBinding(draft: Draft, settings: SomeSettings, remotes: readonly Remote[]): void {
  const { findings, mentioned } = draft;
  if (settings.nobind === undefined) return;
  const { where } = settings.nobind;
  if (remotes.length === 0 && !mentioned.has('remote') && !mentioned.has('connection')) {
    refuse(findings, where, 'CONFIG_NOBIND', '`nobind` without `remote`', {
      why: 'an end without a fixed port cannot be found by the peer, so it has to know the peer',
      fix: 'remove `nobind`, or add `remote HOST`',
    });
  }
  for (const [name, setting] of [
    ['local', settings.localHost],
    ['lport', settings.lport],
    ['bind', settings.bind],
  ] as const) {
    if (setting === undefined) continue;
    refuse(findings, setting.where, 'CONFIG_NOBIND', `\`${name}\` together with \`nobind\``, {
      fix: `remove one of them: ${name} binds the socket, nobind does not`,
    });
  }
}

/** What TCP needs and cannot do. */
function checkStreams(draft: Draft, transport: PeerConfig['transport']): void {
  const { findings, settings, mentioned } = draft;
  const protocols = protocolsOf(transport);
  if (!protocols.some((protocol) => protocol !== 'udp')) return;
  const where = settings.proto?.where ?? transport.remotes[0].where;
  const { remotes } = transport;
  if (protocols.includes('tcp-client') && remotes.length === 0 && !mentioned.has('remote')) {
    refuse(findings, where, 'CONFIG_TCP', 'a TCP client without `remote`', {
      why: 'it is the end that calls',
      fix: 'add `remote HOST`, or make this end the server: proto tcp-server',
    });
  }
  if (protocols.includes('tcp-server') && remotes.length > 1) {
    refuse(findings, remotes[1].where, 'CONFIG_TCP', 'a TCP server with more than one `remote`', {
      why: 'it takes one connection, and `remote` says from which address',
      fix: 'keep one `remote`, or none',
    });
  }
  const nobind = settingsOfConnections(draft).find((each) => each.nobind !== undefined)?.nobind;
  if (protocols.includes('tcp-server') && nobind !== undefined) {
    refuse(findings, nobind.where, 'CONFIG_NOBIND', '`nobind` with `proto tcp-server`', {
      why: 'the peer has to know which port to call',
      fix: 'remove `nobind`',
    });
  }
  if (settings.fragment !== undefined) {
    refuse(findings, settings.fragment.where, 'CONFIG_TCP', '`fragment` works with UDP only', {
      why: 'TCP cuts what it carries as it needs',
      fix: 'remove `fragment` on both ends, or use `proto udp`',
    });
  }
  if (mentioned.has('mtu-test')) {
    refuse(findings, where, 'CONFIG_TCP', '`mtu-test` works with UDP only', { fix: 'remove `mtu-test`' });
  }
  warnAboutGoodbyes(draft, transport);
}

function warnAboutGoodbyes(
  { findings, settings, connections }: Draft,
  transport: PeerConfig['transport'],
): void {
  const streams = connections.filter(({ value }) => (value.proto ?? UDP).protocol !== 'udp');
  const given = [
    isStream(transport) ? settings.exitNotify : undefined,
    ...streams.map(({ value }) => value.own.exitNotify),
  ];
  for (const notify of given) {
    if (notify === undefined || notify.value === 0) continue;
    warn(findings, notify.where, 'CONFIG_NO_EFFECT', 'explicit-exit-notify has no effect with TCP', {
      why: 'the end of the connection tells the peer',
      fix: 'remove it',
    });
  }
}

function checkDistinct(draft: Draft, transport: PeerConfig['transport']): void {
  const { findings, settings } = draft;
  for (const remote of transport.remotes) {
    const own = connectionSettings(transport, remote);
    const samePort = bindsPort(own, remote.protocol) && remote.port === own.localPort;
    if (remote.host === own.localHost && samePort) {
      refuse(
        findings,
        remote.where,
        'CONFIG_REMOTE_IS_LOCAL',
        '`remote` and `local` are the same address and port',
        {
          fix: "write the peer's address behind `remote`",
        },
      );
    }
  }
  if (settings.ifconfig === undefined) return;
  const { local, second } = settings.ifconfig.value;
  const hosts = transport.remotes.flatMap((remote) => [remote.host, remote.connection?.localHost]);
  const outside = [...hosts, transport.localHost];
  for (const address of [local, second]) {
    if (!outside.includes(address)) continue;
    const what = `${address} is both an address inside the tunnel and one outside of it`;
    refuse(findings, settings.ifconfig.where, 'CONFIG_INSIDE_OUTSIDE', what, {
      why: 'packets to the peer would go into the tunnel they are made for',
      fix: 'take other addresses for `ifconfig`, from a private range that is free on both ends',
    });
  }
}

/** 0 stands for no line, as in stock. */
function bufferBytes(setting: Setting<number> | undefined): number | undefined {
  return setting === undefined || setting.value === 0 ? undefined : setting.value;
}

export function resolveTransport(draft: Draft): PeerConfig['transport'] {
  const { settings } = draft;
  const remotes = resolveRemotes(draft);
  checkBindings(draft, remotes);
  const { protocol, family } = settings.proto?.value ?? UDP;
  if (settings.localHost !== undefined) {
    checkFamily(draft, settings.localHost.value, { protocol, family }, settings.localHost.where);
  }
  const transport: PeerConfig['transport'] = {
    ...resolveConnectionSettings(settings),
    protocol,
    family,
    remotes,
    remotePort: settings.remotePort?.value ?? DEFAULT_PORT,
    resolveRetrySec: settings.resolveRetrySec?.value ?? Infinity,
    connectRetryMax: settings.connectRetryMax?.value ?? 0,
    remoteRandom: settings.remoteRandom !== undefined,
    remoteRandomHostname: settings.remoteRandomHostname !== undefined,
    preresolve: settings.preresolve !== undefined,
    persistRemoteIp: settings.persistRemoteIp !== undefined,
    sendBufferBytes: bufferBytes(settings.sendBufferBytes),
    receiveBufferBytes: bufferBytes(settings.receiveBufferBytes),
    mark: settings.mark?.value,
    bindDevice: settings.bindDevice?.value,
    allowRecursiveRouting: settings.allowRecursiveRouting !== undefined,
    multihome: settings.multihome !== undefined,
    passTos: settings.passTos !== undefined,
    shaperBytesPerSec: settings.shaperBytesPerSec?.value ?? 0,
  };
  checkDistinct(draft, transport);
  checkStreams(draft, transport);
  return transport;
}

function warnAboutPingAlone(draft: Draft): void {
  const { ping, pingTimeout } = draft.settings;
  if (ping === undefined || ping.value === 0 || pingTimeout !== undefined) return;
  warn(draft.findings, ping.where, 'CONFIG_PING_ONLY', '`ping` without `ping-restart` or `ping-exit`', {
    why: 'this end would ping, but never notice that the peer is gone',
    fix: `keepalive ${ping.value} ${ping.value * 6}`,
  });
}

function checkKeepalive(draft: Draft): void {
  const { findings, settings } = draft;
  const { keepalive, ping, pingTimeout } = settings;
  if (keepalive === undefined) {
    warnAboutPingAlone(draft);
    return;
  }
  const { intervalSec, timeoutSec } = keepalive.value;
  if (timeoutSec < 2 * intervalSec) {
    const what = 'the timeout of `keepalive` is less than twice the interval';
    refuse(findings, keepalive.where, 'CONFIG_KEEPALIVE', what, {
      why: 'one lost ping would restart the tunnel',
      fix: `keepalive ${intervalSec} ${intervalSec * 6}`,
    });
  }
  const others = [ping, pingTimeout && { ...pingTimeout, value: pingTimeout.value.sec }];
  // As in stock, which cannot tell 0 from a line that is not there.
  const other = others.find((each) => each !== undefined && each.value > 0);
  if (other !== undefined) {
    const what = '`keepalive` together with `ping`, `ping-restart` or `ping-exit`';
    refuse(findings, other.where, 'CONFIG_KEEPALIVE', what, {
      why: 'keepalive sets them',
      fix: 'keep `keepalive` and remove the others',
    });
  }
}

export function resolveTimers(draft: Draft): PeerConfig['timers'] {
  const { settings } = draft;
  checkKeepalive(draft);
  const keepalive = settings.keepalive?.value;
  const inactive = settings.inactive?.value;
  return {
    pingSec: keepalive?.intervalSec ?? settings.ping?.value ?? 0,
    pingTimeoutSec: keepalive?.timeoutSec ?? settings.pingTimeout?.value.sec ?? 0,
    pingTimeoutAction:
      keepalive === undefined ? (settings.pingTimeout?.value.action ?? 'restart') : 'restart',
    pingTimerNeedsRemote: settings.pingTimerNeedsRemote !== undefined,
    inactive: inactive !== undefined && inactive.seconds > 0 ? inactive : undefined,
    sessionTimeoutSec: settings.sessionTimeoutSec?.value ?? 0,
  };
}
