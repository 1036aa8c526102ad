/** Peer addresses, the socket, and the timers that watch over the tunnel. */
import { isIPv4, isIPv6 } from 'node:net';
import type { SourcePosition } from '../../errors.ts';
import type { Draft, DraftRemote, Setting } from '../draft.ts';
import { refuse, warn } from '../findings.ts';
import type { AddressFamily, PeerConfig, Remote } from '../model.ts';

const DEFAULT_PORT = 1194;

function checkFamily(draft: Draft, host: string, family: AddressFamily, where: SourcePosition): void {
  const fits = !(family === 'ipv4' && isIPv6(host)) && !(family === 'ipv6' && isIPv4(host));
  if (fits) return;
  const protocol = family === 'ipv4' ? 'udp4' : 'udp6';
  refuse(draft.findings, where, 'CONFIG_FAMILY', `${host} is not an address of ${protocol}`, {
    fix: 'use `proto udp`, which takes both families',
  });
}

function resolveRemote(draft: Draft, remote: Setting<DraftRemote>): Remote {
  const { settings } = draft;
  const { host, port, family } = remote.value;
  const resolved = {
    host,
    port: port ?? settings.remotePort?.value ?? DEFAULT_PORT,
    family: family ?? settings.proto?.value ?? 'any',
    where: remote.where,
  };
  checkFamily(draft, host, resolved.family, remote.where);
  return resolved;
}

/** The list of peers: `<connection>` blocks, or else the `remote` lines. */
function resolveRemotes(draft: Draft): Remote[] {
  const { connections, remotes } = draft;
  if (connections.length === 0) return remotes.map((remote) => resolveRemote(draft, remote));
  for (const { where } of remotes) {
    refuse(draft.findings, where, 'CONFIG_AFTER_CONNECTION', '`remote` beside <connection> blocks', {
      why: 'OpenVPN ignores it',
      fix: 'give the remote a <connection> block too',
    });
  }
  return connections.map((connection) => resolveRemote(draft, connection));
}

function checkBinding(draft: Draft, remotes: readonly Remote[]): void {
  const { findings, settings, mentioned } = draft;
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

function checkDistinct(draft: Draft, transport: PeerConfig['transport']): void {
  const { findings, settings } = draft;
  for (const remote of transport.remotes) {
    const samePort = transport.bind && remote.port === transport.localPort;
    if (remote.host === transport.localHost && samePort) {
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
  const outside = [...transport.remotes.map(({ host }) => host), transport.localHost];
  for (const address of [local, second]) {
    if (!outside.includes(address)) continue;
    const what = `${address} is both an address inside the tunnel and one outside of it`;
    refuse(findings, settings.ifconfig.where, 'CONFIG_INSIDE_OUTSIDE', what, {
      why: 'packets to the peer would go into the tunnel they are made for',
      fix: 'take other addresses for `ifconfig`, from a private range that is free on both ends',
    });
  }
}

export function resolveTransport(draft: Draft): PeerConfig['transport'] {
  const { settings } = draft;
  const remotes = resolveRemotes(draft);
  checkBinding(draft, remotes);
  const bind = settings.nobind === undefined;
  const family = settings.proto?.value ?? 'any';
  if (settings.localHost !== undefined) {
    checkFamily(draft, settings.localHost.value, family, settings.localHost.where);
  }
  const transport: PeerConfig['transport'] = {
    family,
    remotes,
    localHost: settings.localHost?.value,
    remotePort: settings.remotePort?.value ?? DEFAULT_PORT,
    localPort: bind ? (settings.localPort?.value ?? DEFAULT_PORT) : 0,
    bind,
    float: settings.float !== undefined,
    resolveRetrySec: settings.resolveRetrySec?.value ?? Infinity,
    connectRetrySec: settings.connectRetrySec?.value ?? 1,
    connectRetryMax: settings.connectRetryMax?.value ?? 0,
    remoteRandom: settings.remoteRandom !== undefined,
    persistRemoteIp: settings.persistRemoteIp !== undefined,
    ipv6Only: settings.bind?.value.ipv6Only ?? false,
    sendBufferBytes: settings.sendBufferBytes?.value,
    receiveBufferBytes: settings.receiveBufferBytes?.value,
    mark: settings.mark?.value,
    bindDevice: settings.bindDevice?.value,
    mtuDiscovery: settings.mtuDiscovery?.value,
    allowRecursiveRouting: settings.allowRecursiveRouting !== undefined,
    multihome: settings.multihome !== undefined,
    passTos: settings.passTos !== undefined,
    shaperBytesPerSec: settings.shaperBytesPerSec?.value ?? 0,
  };
  checkDistinct(draft, transport);
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
  const other = ping ?? pingTimeout;
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
    pingTimeoutAction: settings.pingTimeout?.value.action ?? 'restart',
    pingTimerNeedsRemote: settings.pingTimerNeedsRemote !== undefined,
    exitNotify: settings.exitNotify?.value ?? 0,
    inactive: inactive !== undefined && inactive.seconds > 0 ? inactive : undefined,
    sessionTimeoutSec: settings.sessionTimeoutSec?.value ?? 0,
  };
}
