/** The device, its addresses, its MTU and the framing of packets. */
import type { CipherSpec, DigestSpec } from '../../crypto/algorithms.ts';
import type { SourcePosition } from '../../errors.ts';
import { looksLikeNetmask, maskLength, splitPrefix } from '../address.ts';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../../packet/address.ts';
import type { Draft } from '../draft.ts';
import { refuse, warn } from '../findings.ts';
import { PACKET_ID_SIZE } from '../../protocol/packet-id.ts';
import type { CompressionFraming } from '../../protocol/framing.ts';
import type { InterfaceAddress, PeerConfig } from '../model.ts';

/** IFNAMSIZ less the NUL. */
const MAX_NAME = 15;
const DEFAULT_MTU = 1500;
/** RFC 8200 section 5; the kernel takes IPv6 off a device below it. */
const MIN_IPV6_MTU = 1280;

/** Why the kernel would not take an interface name (dev_valid_name), or stock would cut it off silently. */
function nameProblem(name: string): string | undefined {
  if (name === '') return 'it is empty';
  if (Buffer.byteLength(name) > MAX_NAME)
    return `it is longer than ${MAX_NAME} bytes (OpenVPN cuts it off silently)`;
  const bad = /[\s/:%\u0000-\u001f]/.exec(name)?.[0];
  if (bad !== undefined) return `it contains ${bad === ' ' ? 'a blank' : `\`${bad}\``}`;
  return name === '.' || name === '..' ? 'it is a directory name' : undefined;
}

function deviceType(draft: Draft, name: string): string | undefined {
  const declared = draft.settings.deviceType?.value;
  if (declared !== undefined) return declared;
  if (name === 'null') return 'null';
  return ['tun', 'tap'].find((type) => name.startsWith(type));
}

/** Interface name, or undefined to let the kernel choose. Faults are recorded. */
export function resolveDeviceName(draft: Draft, top: SourcePosition): string | undefined {
  const { findings, settings } = draft;
  if (settings.device === undefined) {
    if (!draft.mentioned.has('dev')) {
      refuse(findings, top, 'CONFIG_NO_DEVICE', 'no `dev` line: the config names no device', {
        fix: 'dev tun',
      });
    }
    return undefined;
  }
  const { value: name, where } = settings.device;
  const type = deviceType(draft, name);
  if (type === 'tap') {
    refuse(findings, where, 'CONFIG_NOT_YET', 'dev tap is not supported by this version of tsvpn yet', {
      fix: 'use `dev tun` on both ends and `route` lines for the networks behind them',
    });
  } else if (type === 'null') {
    refuse(findings, where, 'CONFIG_DEVICE', 'dev null is a tunnel without device', { fix: 'dev tun' });
  }
  const problem = nameProblem(name);
  if (problem !== undefined) {
    refuse(findings, where, 'CONFIG_DEVICE', `${JSON.stringify(name)} cannot be the name of a device`, {
      why: problem,
      fix: 'dev tun0',
    });
  } else if (type === undefined) {
    refuse(findings, where, 'CONFIG_DEVICE', `the name ${name} does not tell the type of the device`, {
      fix: `add the line\n    dev-type tun`,
    });
  }
  return name === 'tun' ? undefined : name;
}

function usable(address: number): boolean {
  const first = address >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}

function resolveSubnet(
  draft: Draft,
  local: string,
  mask: string,
  where: SourcePosition,
): InterfaceAddress | undefined {
  const address = parseIpv4(local) ?? 0;
  const bits = parseIpv4(mask) ?? 0;
  const prefixLength = maskLength(bits);
  if (prefixLength === undefined || prefixLength < 1 || prefixLength > 30) {
    refuse(draft.findings, where, 'CONFIG_NETMASK', `${mask} is not a netmask for \`topology subnet\``, {
      why: 'with topology subnet the second address of ifconfig is the mask of a network of at least four addresses',
      fix: `ifconfig ${local} 255.255.255.0\nor, when ${mask} is the peer, remove \`topology subnet\``,
    });
    return undefined;
  }
  const network = (address & bits) >>> 0;
  const broadcast = (network | ~bits) >>> 0;
  if (address === network || address === broadcast) {
    const kind = address === network ? 'the network itself' : 'its broadcast address';
    refuse(
      draft.findings,
      where,
      'CONFIG_IFCONFIG',
      `${local} is not an address of a host: with ${mask} it is ${kind}`,
      {
        fix: `ifconfig ${formatIpv4(network + 1)} ${mask}`,
      },
    );
    return undefined;
  }
  return { kind: 'subnet', local, prefixLength, netmask: mask };
}

function resolvePair(
  draft: Draft,
  local: string,
  remote: string,
  where: SourcePosition,
): InterfaceAddress | undefined {
  if (looksLikeNetmask(remote)) {
    refuse(
      draft.findings,
      where,
      'CONFIG_IFCONFIG',
      `${remote} is a netmask where the peer's address belongs`,
      {
        why: 'OpenVPN would take it for an address',
        fix: `write the peer's address as the second one, or add\n    topology subnet`,
      },
    );
    return undefined;
  }
  if (local === remote) {
    refuse(draft.findings, where, 'CONFIG_IFCONFIG', 'both ends of the tunnel have the same address', {
      fix: 'the first address is this end, the second the peer; the peer has them the other way round',
    });
    return undefined;
  }
  return { kind: 'p2p', local, remote };
}

export function resolveAddress(draft: Draft): InterfaceAddress | undefined {
  const { findings, settings } = draft;
  if (settings.ifconfig === undefined) return undefined;
  const { value, where } = settings.ifconfig;
  const subnet = settings.topology?.value === 'subnet';
  for (const address of subnet ? [value.local] : [value.local, value.second]) {
    const number = parseIpv4(address);
    if (number === undefined || usable(number) || (!subnet && looksLikeNetmask(address))) continue;
    refuse(findings, where, 'CONFIG_IFCONFIG', `${address} cannot be the address of a host`, {
      fix: 'take one of a private network: 10.254.0.1',
    });
    return undefined;
  }
  return subnet
    ? resolveSubnet(draft, value.local, value.second, where)
    : resolvePair(draft, value.local, value.second, where);
}

export function resolveAddress6(draft: Draft): PeerConfig['device']['address6'] {
  const { findings, settings } = draft;
  if (settings.ifconfig6 === undefined) return undefined;
  const { value, where } = settings.ifconfig6;
  const split = splitPrefix(value.local);
  const local = split === undefined ? undefined : parseIpv6(split.address);
  const remote = parseIpv6(value.remote);
  const prefixLength = split?.length ?? 64;
  if (local === undefined || remote === undefined) {
    const wrong = local === undefined ? value.local : value.remote;
    refuse(
      findings,
      where,
      'CONFIG_IFCONFIG',
      `ifconfig-ipv6: ${JSON.stringify(wrong)} is not an IPv6 address`,
      {
        fix: 'ifconfig-ipv6 fd00::1/64 fd00::2',
      },
    );
    return undefined;
  }
  if (prefixLength < 64 || prefixLength > 124) {
    refuse(
      findings,
      where,
      'CONFIG_IFCONFIG',
      `ifconfig-ipv6: the prefix length is 64 to 124, not ${prefixLength}`,
      { fix: `ifconfig-ipv6 ${formatIpv6(local)}/64 ${formatIpv6(remote)}` },
    );
    return undefined;
  }
  if (Buffer.compare(local, remote) === 0) {
    refuse(findings, where, 'CONFIG_IFCONFIG', 'both ends of the tunnel have the same IPv6 address', {
      fix: 'the first address is this end, the second the peer; the peer has them the other way round',
    });
    return undefined;
  }
  return { local: formatIpv6(local), prefixLength, remote: formatIpv6(remote) };
}

/** As OpenVPN 2.6: link-mtu less IV, one block of padding and HMAC; a packet id inside of the cipher is forgotten. */
function convertLinkMtu(draft: Draft, cipher: CipherSpec, digest: DigestSpec): number {
  const { linkMtu, tunMtu } = draft.settings;
  if (linkMtu === undefined) return tunMtu?.value.mtu ?? DEFAULT_MTU;
  const packetId = cipher.blockSize === 0 && draft.settings.noReplay === undefined ? PACKET_ID_SIZE : 0;
  const mtu = linkMtu.value - 2 * cipher.blockSize - packetId - digest.size;
  if (tunMtu !== undefined) {
    refuse(draft.findings, linkMtu.where, 'CONFIG_MTU', '`link-mtu` together with `tun-mtu`', {
      fix: 'remove `link-mtu`',
    });
  } else if (mtu < 100) {
    refuse(
      draft.findings,
      linkMtu.where,
      'CONFIG_MTU',
      `link-mtu ${linkMtu.value} leaves ${mtu} bytes for a packet`,
      {
        fix: 'tun-mtu 1500',
      },
    );
  } else {
    warn(
      draft.findings,
      linkMtu.where,
      'CONFIG_LINK_MTU',
      `link-mtu is read as tun-mtu ${mtu}, without mssfix`,
      {
        why: 'versions of OpenVPN convert it differently',
        fix: `write on both ends:\n    tun-mtu ${mtu}`,
      },
    );
  }
  return mtu;
}

export function resolveMtu(draft: Draft, cipher: CipherSpec, digest: DigestSpec): PeerConfig['mtu'] {
  const { settings } = draft;
  const tunMtu = convertLinkMtu(draft, cipher, digest);
  const fromLinkMtu = settings.linkMtu !== undefined;
  const fragment = settings.fragment?.value;
  const ipv6 = settings.ifconfig6 ?? draft.routes6[0];
  if (ipv6 !== undefined && tunMtu < MIN_IPV6_MTU) {
    refuse(
      draft.findings,
      ipv6.where,
      'CONFIG_MTU',
      `IPv6 needs an MTU of ${MIN_IPV6_MTU}; the device has ${tunMtu}`,
      {
        fix: `tun-mtu ${MIN_IPV6_MTU}`,
      },
    );
  }
  const mssfix = settings.mssfix?.value ?? { mode: 'default' as const };
  return {
    tunMtu,
    occMtu: settings.tunMtu?.value.occMtu,
    // The default follows from `fragment`, where there is one.
    mssfix: fromLinkMtu && fragment === undefined && mssfix.mode === 'default' ? { mode: 'off' } : mssfix,
    fragment,
    fromLinkMtu,
  };
}

export function resolveFraming(draft: Draft): CompressionFraming {
  const { framing, allowCompression } = draft.settings;
  if (allowCompression?.value === 'no' && framing?.value.compresses) {
    const what = 'compression against `allow-compression no`';
    refuse(draft.findings, framing.where, 'CONFIG_COMPRESSION', what, {
      fix: 'remove the line on both ends',
    });
  }
  return framing?.value.kind ?? 'off';
}
