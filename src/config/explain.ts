/**
 * What `tsvpn check` says about a config: errors and warnings from reading it, and remarks about what works but could
 * be better, each with the lines to write here and, where both ends have to agree, on the peer.
 */
import type { OperatorError, SourcePosition } from '../errors.ts';
import { GOOD_CIPHER_LINE } from './build/crypto.ts';
import type { Examined } from './load.ts';
import type { ConfigWarning, GatewayConfig, PeerConfig } from './model.ts';
import { isStream, protocolsTaken } from './protocols.ts';
import { fragmentLine, framingLine } from './written.ts';

/** An error, warning or remark, with its place and its remedy. */
export interface Finding {
  readonly severity: 'error' | 'warning' | 'remark';
  readonly code: string;
  readonly what: string;
  readonly why?: string | undefined;
  /** What to do, in words; may span lines. */
  readonly fix?: string | undefined;
  /** Lines for this config; a comment `# remove: ...` stands for a line to take out. */
  readonly here?: readonly string[] | undefined;
  /** Lines for the peer's config. */
  readonly peer?: readonly string[] | undefined;
  readonly where?: SourcePosition | undefined;
}

type Fragment = NonNullable<PeerConfig['mtu']['fragment']>;
type Lines = Pick<Finding, 'here' | 'peer' | 'fix'>;

function bothEnds(...lines: string[]): Lines {
  return { here: lines, peer: lines };
}

const KEEP_BLOWFISH =
  'write it on both ends; when the peer cannot change, add `providers legacy default` here instead';
const GOOD_CIPHER = bothEnds(GOOD_CIPHER_LINE);
const GOOD_AUTH = bothEnds('auth SHA256');

/** Findings whose remedy both ends have to apply. */
const LINES_BY_CODE: Readonly<Record<string, Lines>> = {
  CONFIG_CIPHER: GOOD_CIPHER,
  CONFIG_CIPHER_MISSING: { ...GOOD_CIPHER, fix: KEEP_BLOWFISH },
  CONFIG_CIPHER_LEGACY: { ...GOOD_CIPHER, fix: KEEP_BLOWFISH },
  CONFIG_CIPHER_SWEET32: GOOD_CIPHER,
  CONFIG_CIPHER_NONE: GOOD_CIPHER,
  CONFIG_AUTH: GOOD_AUTH,
  CONFIG_AUTH_NONE: GOOD_AUTH,
  CONFIG_NO_REPLAY: bothEnds('# remove: no-replay'),
};

function toFinding(severity: Finding['severity'], source: OperatorError | ConfigWarning): Finding {
  const { code, what, why, fix, where } = source;
  const lines = LINES_BY_CODE[code];
  return { severity, code, what, why, where, ...(lines ?? { fix }) };
}

function lintCrypto(config: PeerConfig): Finding[] {
  const findings: Finding[] = [];
  const { where } = config.key;
  if (config.key.direction === undefined) {
    findings.push({
      severity: 'remark',
      code: 'CHECK_KEY_DIRECTION',
      what: 'both directions use the same half of the key',
      why: "a peer's own packets, sent back to it, look genuine to it",
      here: ['key-direction 0'],
      peer: ['key-direction 1'],
      where,
    });
  }
  if (config.digest.name === 'SHA1' || config.digest.name === 'MD5') {
    findings.push({
      severity: 'remark',
      code: 'CHECK_AUTH_OLD',
      what: `auth ${config.digest.name} is a digest of the past`,
      why: 'as an HMAC it is not broken, but auditors ask, and SHA256 costs little more',
      ...GOOD_AUTH,
    });
  }
  if (config.replay.enabled && config.replay.window === 0 && !isStream(config.transport)) {
    findings.push({
      severity: 'remark',
      code: 'CHECK_REPLAY_STRICT',
      what: 'replay-window 0 drops every packet that was overtaken by another',
      why: 'UDP does not keep the order',
      here: ['replay-window 64 15'],
    });
  }
  return findings;
}

function lintPeer(config: PeerConfig): Finding[] {
  const findings: Finding[] = [];
  const { remotes, float } = config.transport;
  const stream = isStream(config.transport);
  if (config.timers.pingSec === 0) {
    findings.push({
      severity: 'remark',
      code: 'CHECK_KEEPALIVE',
      what: 'no `keepalive`: an idle tunnel falls silent',
      why: 'a NAT or firewall on the path forgets it, and neither end notices when the other is gone',
      ...bothEnds('keepalive 10 60'),
    });
  }
  if (stream) {
    findings.push({
      severity: 'remark',
      code: 'CHECK_TCP',
      what: 'the tunnel is a TCP connection',
      why: 'what is lost on the way holds up all that follows, and TCP inside of it is slowed down twice',
      fix: 'use `proto udp` on both ends wherever UDP gets through',
    });
  }
  if (remotes.length > 0 && !float && !stream) {
    findings.push({
      severity: 'remark',
      code: 'CHECK_FLOAT',
      what: "packets are accepted from the peer's configured address and port only",
      why: 'when a NAT changes either, they are dropped although the key is right',
      here: ['float'],
      where: remotes[0].where,
    });
  }
  if (remotes.length === 0 && !stream) {
    findings.push({
      severity: 'remark',
      code: 'CHECK_NO_REMOTE',
      what: 'no `remote`: this end waits until the peer sends something',
      why: 'that is right for a peer with a changing address; the peer then needs a `remote` with the address of this end',
      fix: 'when the peer has a fixed address, add `remote ADDRESS`',
    });
  }
  return findings;
}

function lintIpv6({ peers, device }: GatewayConfig): Finding[] {
  const route = peers
    .flatMap(({ peerRoutes }) => peerRoutes)
    .find(({ prefix }) => prefix.bytes.length === 16);
  if (route === undefined || device.addresses6.length > 0) return [];
  return [
    {
      severity: 'warning',
      code: 'CHECK_IPV6_ADDRESS',
      what: 'routes for IPv6, but no IPv6 address on the device',
      why: 'this gateway itself could not send or answer there',
      here: ['ifconfig-ipv6 fd00:10:254::1/64 fd00:10:254::2'],
      peer: ['ifconfig-ipv6 fd00:10:254::2/64 fd00:10:254::1'],
      where: route.where,
    },
  ];
}

/** Without a bridge there are no stations behind the device: frames carry packets that routes could. */
function lintTap({ device, routes, where }: PeerConfig): Finding[] {
  if (device.type === 'tun' || device.bridge !== undefined || routes.length === 0) return [];
  return [
    {
      severity: 'remark',
      code: 'CHECK_TAP_ROUTED',
      what: 'a tap device, and routes over it: `dev tun` would do',
      why: 'every packet carries an Ethernet header of 14 bytes, and every broadcast of either end crosses the tunnel',
      fix: 'write `dev tun` and `ifconfig LOCAL REMOTE` on both ends, unless the tunnel has to carry something else than IP',
      where,
    },
  ];
}

function lintFragment(fragment: Fragment, { mssfix }: PeerConfig['mtu']): Finding[] {
  const line = fragmentLine(fragment);
  const findings: Finding[] = [
    {
      severity: 'remark',
      code: 'CHECK_FRAGMENT',
      what: `\`${line}\` works only with a \`fragment\` line on the peer, too`,
      why: 'every packet gets a header of 4 bytes, long or short; an end without the line cannot read it',
      peer: [line],
    },
  ];
  if (mssfix.mode === 'off' || ('value' in mssfix && mssfix.value > fragment.bytes)) {
    findings.push({
      severity: 'remark',
      code: 'CHECK_MSSFIX',
      what: 'TCP packets may be longer than a fragment: each takes two datagrams and is lost with either',
      why: 'without a value of its own `mssfix` follows from `fragment`',
      here: ['mssfix'],
    });
  }
  return findings;
}

function lintPackets(config: PeerConfig): Finding[] {
  const findings: Finding[] = [];
  if (config.framing !== 'off') {
    findings.push({
      severity: 'remark',
      code: 'CHECK_COMPRESSION',
      what: 'every packet carries a compression byte for nothing',
      why: 'neither tsvpn nor OpenVPN since 2.5 compresses what it sends; both ends must agree about the byte',
      ...bothEnds(`# remove: ${framingLine(config.framing).replace(/ no$/, '')}`),
    });
  }
  if (config.mtu.fragment !== undefined) findings.push(...lintFragment(config.mtu.fragment, config.mtu));
  else if (config.mtu.mssfix.mode === 'off' && config.mtu.tunMtu > 1400) {
    findings.push({
      severity: 'remark',
      code: 'CHECK_MSSFIX',
      what: 'mssfix is off: full-size TCP packets will be fragmented outside the tunnel',
      why: 'fragments cost throughput, and some firewalls drop them',
      here: ['mssfix'],
    });
  }
  return findings;
}

const OPENVPN_27: Finding = {
  severity: 'remark',
  code: 'CHECK_OPENVPN_27',
  what: 'OpenVPN 2.7 starts a static-key tunnel only when told to',
  why: 'static keys are deprecated there; older versions skip a line with `setenv opt`',
  fix: 'add the line on a peer with OpenVPN 2.7 or newer',
  peer: ['setenv opt allow-deprecated-insecure-static-crypto'],
};

/** With `float` on a shared port its peers could not be told apart. */
function sharesPort(peer: PeerConfig, { peers }: GatewayConfig): boolean {
  const { localPort } = peer.transport;
  const listens = ({ transport }: PeerConfig) => protocolsTaken(transport).includes('udp');
  const same = peers.filter((other) => listens(other) && other.transport.localPort === localPort);
  return listens(peer) && localPort !== 0 && same.length > 1;
}

function lintOne(peer: PeerConfig, gateway: GatewayConfig): Finding[] {
  const findings = [...lintCrypto(peer), ...lintPeer(peer), ...lintPackets(peer), ...lintTap(peer)].filter(
    ({ code }) => code !== 'CHECK_FLOAT' || !sharesPort(peer, gateway),
  );
  if (gateway.peers.length === 1) return findings;
  return findings.map((finding) => {
    return { ...finding, what: `${peer.name}: ${finding.what}`, where: finding.where ?? peer.where };
  });
}

/** Advice about a config that loads. What reading it found is in `config.warnings`, not here. */
export function lint(config: GatewayConfig): Finding[] {
  return [...config.peers.flatMap((peer) => lintOne(peer, config)), ...lintIpv6(config), OPENVPN_27];
}

/** All findings about one config file, errors first. */
export function explain(examined: Examined): Finding[] {
  const { config, findings } = examined;
  return [
    ...findings.errors.map((error) => toFinding('error', error)),
    ...findings.warnings.map((warning) => toFinding(warning.severity, warning)),
    ...(config === undefined ? [] : lint(config)),
  ];
}
