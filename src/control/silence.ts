/** Why has no valid packet come from the peer? Read from what did come. */
import { explainDrop } from './drops.ts';
import type { PeerStatus } from './status.ts';

export interface Diagnosis {
  readonly why: string;
  readonly fix: string;
}

/** What to do about datagrams dropped for a reason, beyond its explanation. */
const FIXES: Readonly<Record<string, string>> = {
  auth:
    'compare the key fingerprints (`tsvpn status` here and there), give one end `key-direction 0` and the other\n' +
    '`key-direction 1` (or neither any), and write the same `auth` line on both ends',
  decrypt: 'write the same `cipher` line on both ends',
  'bad-length': 'write the same `cipher` and `auth` lines on both ends',
  short: 'write the same `cipher` and `auth` lines on both ends; check that nothing else sends to this port',
  source: 'correct the `remote` line, or add `float` if the peer may come from anywhere',
  'inner-version': 'write the same `dev`, `comp-lzo` or `compress`, and `fragment` lines on both ends',
  framing: 'write the same `comp-lzo` or `compress` line on both ends, or none on either',
  unframed: 'remove `comp-lzo` or `compress` here, or write the same line on the peer',
  'peer-framing': 'remove `comp-lzo` or `compress` on the peer, or write the same line here',
  compressed: 'remove `comp-lzo` or `compress` on both ends, or write the line of the peer here',
  'fragment-header': 'write the same `fragment` line on both ends, or none on either',
  'peer-fragments': 'write the same `fragment` line on both ends, or none on either',
  'time-backtrack': "set the peer's clock and restart it: its packets look older than others received before",
};

/** What to do when the config of the other end is the cause; undefined for other reasons. */
export function fixForDrop(name: string): string | undefined {
  return FIXES[name];
}

/** Reasons for which our own packets are dropped: they say nothing about what came from the peer. */
const OUTBOUND: ReadonlySet<string> = new Set([
  'no-peer',
  'peer-restarting',
  'recursive',
  'id-rollover',
  'send-buffer',
  'send-failed',
  'message-size',
]);

export function diagnoseSilence(status: PeerStatus): Diagnosis {
  const { unreachable, endpoint, remote, lastPacketAgeMs } = status;
  const received = status.traffic.udpRead.packets;
  const place = endpoint ?? remote;
  if (unreachable !== null && place !== null && (received === 0 || lastPacketAgeMs !== null))
    return refused(place, unreachable);
  if (received === 0) return nothingArrived(status);
  const [reason] = Object.entries(status.drops)
    .filter(([name]) => !OUTBOUND.has(name))
    .toSorted(([, a], [, b]) => b - a)
    .map(([name]) => name);
  const arrived = received === 1 ? '1 datagram arrived and was' : `${received} datagrams arrived and were`;
  return {
    why: `${arrived} dropped: ${reason === undefined ? 'none was valid' : `${reason} (${explainDrop(reason)})`}`,
    fix: FIXES[reason ?? ''] ?? 'check that both configs mirror each other (`tsvpn check FILE`)',
  };
}

/** A TCP server listens before it is connected, and a client has no socket address; both send at once when connected. */
function nobodyConnected({ protocol, local, remote, traffic }: PeerStatus): Diagnosis {
  if (traffic.udpWrite.packets > 0) {
    return {
      why: 'there is or was a TCP connection, but nothing came over it',
      fix: 'look at the log of the other end, and check that both configs mirror each other (`tsvpn check FILE`)',
    };
  }
  if (protocol === 'tcp-server') {
    return {
      why: `nobody has called yet at ${local}`,
      fix:
        'check that the peer runs with `proto tcp-client` and this address and port behind `remote`, and that every\n' +
        'firewall between lets TCP through to this port',
    };
  }
  return {
    why: `no TCP connection with ${remote} has come about yet; the log says why`,
    fix:
      'check that the peer listens there (`proto tcp-server`, `ss -tln`) and has no other connection, and that every\n' +
      'firewall between lets TCP through to that port',
  };
}

/** The network has answered in the peer's place. */
function refused(place: string, { error, times }: NonNullable<PeerStatus['unreachable']>): Diagnosis {
  const often = times === 1 ? 'once' : `${times} times`;
  if (error === 'ECONNREFUSED') {
    return {
      why: `nothing listens at ${place}: its host answers that the port is closed (${often})`,
      fix: 'start the other end; `ss -uln` there shows its port, which has to be the one behind `remote` or `rport` here',
    };
  }
  return {
    why: `${place} cannot be reached: ${error} (${often}); the log says who says so`,
    fix: `check the routes and firewalls on the way: \`ip route get ${hostOf(place)}\`, \`traceroute ${hostOf(place)}\``,
  };
}

function hostOf(place: string): string {
  return place.replace(/^\[?(.*?)\]?:\d+$/, '$1');
}

function nothingArrived(status: PeerStatus): Diagnosis {
  const { protocol, local, remote, traffic, drops } = status;
  const stream = protocol === 'tcp-client' || protocol === 'tcp-server';
  if (stream && (remote ?? local) !== null) return nobodyConnected(status);
  if (local === null) {
    return {
      why: 'the host name behind `remote` has not been resolved yet, so there is nobody to talk to',
      fix: 'check the name and the name service of this host (`getent hosts NAME`); the log has its errors',
    };
  }
  const failed = drops['send-failed'] ?? 0;
  const sent = traffic.udpWrite.packets;
  if (failed > sent) {
    return {
      why: `nothing arrived, and ${failed} datagrams could not be sent: ${explainDrop('send-failed')}`,
      fix: `check this host's routes and firewall: \`ip route get ${remote === null ? 'ADDRESS' : hostOf(remote)}\``,
    };
  }
  return {
    why: `nothing at all arrived at ${local}${sent > 0 ? `, though ${sent} datagram${sent === 1 ? ' was' : 's were'} sent` : ''}`,
    fix:
      'check that the peer runs, with `proto udp` like this end, and sends to this address and port, and that every\n' +
      'firewall and cloud security group between lets UDP through in both directions; a peer without `remote` that\n' +
      'cannot read our packets says nothing either: compare its `secret`, `cipher`, `auth`, `comp-lzo` and `fragment`\n' +
      'lines with these',
  };
}
