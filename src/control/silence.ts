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
  const received = status.traffic.udpRead.packets;
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
      fix: `check this host's routes and firewall: \`ip route get ${remote?.replace(/^\[?(.*?)\]?:\d+$/, '$1') ?? 'ADDRESS'}\``,
    };
  }
  return {
    why: `nothing at all arrived at ${local}${sent > 0 ? `, though ${sent} datagram${sent === 1 ? ' was' : 's were'} sent` : ''}`,
    fix:
      'check that the peer runs and sends to this address and port, and that every firewall and cloud security\n' +
      'group between lets UDP through in both directions; a peer without `remote` that cannot read our packets says\n' +
      'nothing either: compare its `secret`, `cipher`, `auth`, `comp-lzo` and `fragment` lines with these',
  };
}
