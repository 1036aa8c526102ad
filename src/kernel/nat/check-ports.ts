/** Are the ports we are about to capture free, and will they stay so? */
import { readFileSync } from 'node:fs';
import type { GatewayConfig } from '../../config/model.ts';
import { portsTaken } from '../../config/protocols.ts';
import { formatAddress } from '../../packet/address.ts';
import { listensOn, localSockets, ownSockets, socketOwner, type LocalSocket } from '../sockets.ts';
import { refusal, type Finding } from './finding.ts';
import type { Capture, PortSpan } from './plan.ts';

/** The kernel takes 65535 for a missing end. */
const LAST_PORT = 65534;

export function checkPorts(config: GatewayConfig, captures: readonly Capture[]): Finding[] {
  return captures.flatMap((capture) => {
    if (capture.ports.last > LAST_PORT) return [lastPort(capture)];
    const common = tunnelPorts(config, capture);
    if (capture.purpose === 'forward') return [...common, ...hiddenListeners(capture)];
    return [...common, ...ephemeralPorts(capture), ...takenPorts(capture)];
  });
}

/** Ports of NAT are found by `to ADDRESS ... dport`, so a tunnel's own datagrams would come in through the tunnel. */
function tunnelPorts({ peers }: GatewayConfig, { ports, transports, where }: Capture): Finding[] {
  return peers.flatMap(({ name, transport }) => {
    const taken = portsTaken(transport).find(
      ({ protocol, port }) => transports.includes(protocol) && within(ports, port),
    );
    if (taken === undefined) return [];
    return refusal({
      code: 'NAT_PORTS_TUNNEL',
      what: `the tunnel to ${name} has ${taken.protocol.toUpperCase()} port ${taken.port}, which NAT would capture (${formatSpan(ports)})`,
      why: "the tunnel's own packets would no longer reach it",
      fix: 'choose another port for the tunnel (`port`, `lport`), or other ones for NAT',
      where,
    });
  });
}

function lastPort({ ports, where }: Capture): Finding {
  return refusal({
    code: 'NAT_PORTS_LAST',
    what: `ports ${formatSpan(ports)} cannot be captured: the kernel takes ports up to ${LAST_PORT} in a rule`,
    fix: `end the range with ${LAST_PORT}`,
    where,
  });
}

/** A connection of the host from such a port freezes: its answers come to us. */
function ephemeralPorts({ ports, where }: Capture): Finding[] {
  const range = readSysctl('ip_local_port_range');
  const overlap = ephemeralOverlap(ports, range, readSysctl('ip_local_reserved_ports'));
  if (overlap === undefined) return [];
  const [low, high] = range.split(/\s+/);
  return [
    refusal({
      code: 'NAT_PORTS_EPHEMERAL',
      what: `nat-ports ${ports.first} ${ports.last} overlap with the ports this host uses for its own connections (${formatSpan(overlap)})`,
      why: `net.ipv4.ip_local_port_range is ${low} ${high}; a connection of the host from a port that NAT captures would freeze`,
      fix: `nat-ports ${Number(high) + 1} ${LAST_PORT}\nor keep the host off those ports: sysctl -w net.ipv4.ip_local_reserved_ports=${formatSpan(overlap)}`,
      where,
    }),
  ];
}

/**
 * The ports of `ports` that the kernel gives out to outgoing connections, from the first to the last; undefined when there is
 * none. `ephemeral` and `reserved` as in /proc/sys: `32768 60999`, `40000-50000,60100`.
 */
export function ephemeralOverlap(ports: PortSpan, ephemeral: string, reserved: string): PortSpan | undefined {
  const [low, high] = ephemeral.split(/\s+/).map(Number);
  const kept = reserved
    .split(',')
    .map((part) => part.split('-').map(Number))
    .map(([first, last]) => ({ first, last: last ?? first }));
  const given: number[] = [];
  for (let port = Math.max(low, ports.first); port <= Math.min(high, ports.last); port++) {
    if (!kept.some((span) => within(span, port))) given.push(port);
  }
  return given.length === 0 ? undefined : { first: given[0], last: given[given.length - 1] };
}

function takenPorts(capture: Capture): Finding[] {
  const ours = ownSockets();
  const foreign = socketsIn(capture).filter(({ inode }) => !ours.has(inode));
  return foreign.map((socket) =>
    refusal({
      code: 'NAT_PORT_TAKEN',
      what: `${nameOf(socket)} is in use by ${ownerOf(socket)}, and NAT would capture it (${formatSpan(capture.ports)})`,
      why: 'what other hosts send to that port would no longer reach it',
      fix: 'move that service to another port, or give NAT other ones with nat-ports',
      where: capture.where,
    }),
  );
}

/** Asked for, in all likelihood; said all the same, because sshd may be among them. */
function hiddenListeners(capture: Capture): Finding[] {
  return socketsIn(capture).map((socket) => ({
    code: 'NAT_FORWARD_HIDES',
    what: `${nameOf(socket)} is forwarded, and ${ownerOf(socket)} of this host listens there`,
    why: `it can no longer be reached at ${formatAddress(capture.address)} from where the forward applies`,
    fix: 'forward another port, or limit the line with src or dst',
  }));
}

function socketsIn({ address, ports, transports }: Capture): LocalSocket[] {
  return localSockets().filter(
    (socket) =>
      within(ports, socket.port) && transports.includes(socket.transport) && listensOn(socket, address),
  );
}

function nameOf({ transport, port }: LocalSocket): string {
  return `${transport.toUpperCase()} port ${port}`;
}

function ownerOf({ inode }: LocalSocket): string {
  return socketOwner(new Set([inode])) ?? 'a process that cannot be named';
}

function within({ first, last }: PortSpan, port: number): boolean {
  return first <= port && port <= last;
}

function formatSpan({ first, last }: PortSpan): string {
  return first === last ? String(first) : `${first}-${last}`;
}

/** The settings of this name hold for IPv6, too. */
function readSysctl(name: string): string {
  return readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8').trim();
}
