/** The device, its addresses, its MTU and the framing of packets. */
import type { CipherSpec, DigestSpec } from '../../crypto/algorithms.ts';
import type { SourcePosition } from '../../errors.ts';
import { looksLikeNetmask, maskLength, splitPrefix } from '../address.ts';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../../packet/address.ts';
import { IPV6_MIN_MTU } from '../../packet/ipv6.ts';
import type { Draft, Setting, Settings } from '../draft.ts';
import { refuse, warn } from '../findings.ts';
import { PACKET_ID_SIZE } from '../../protocol/packet-id.ts';
import type { DeviceType } from '../../packet/ethernet.ts';
import type { CompressionFraming } from '../../protocol/framing.ts';
import type { InterfaceAddress, PeerConfig } from '../model.ts';

/** IFNAMSIZ less the NUL. */
const MAX_NAME = 15;
const DEFAULT_MTU = 1500;
/** Stock's, and more than the 14 bytes of an Ethernet header. */
const TAP_MTU_EXTRA = 32;

/** Why the kernel would not take an interface name (dev_valid_name), or stock would cut it off silently. */
function nameProblem(name: string): string | undefined {
  if (name === '') return 'it is empty';
  if (Buffer.byteLength(name) > MAX_NAME)
    return `it is longer than ${MAX_NAME} bytes (OpenVPN cuts it off silently)`;
  const bad = /[\s/:%\u0000-\u001f]/.exec(name)?.[0];
  if (bad !== undefined) return `it contains ${bad === ' ' ? 'a blank' : `\`${bad}\``}`;
  return name === '.' || name === '..' ? 'it is a directory name' : undefined;
}

function deviceType(draft: Draft, name: string): DeviceType | 'null' | undefined {
  const declared = draft.settings.deviceType?.value;
  if (declared !== undefined) return declared;
  if (name === 'null') return 'null';
  return (['tun', 'tap'] as const).find((type) => name.startsWith(type));
}

interface DeviceIdentity {
  readonly type: DeviceType;
  /** Undefined lets the kernel choose. */
  readonly name: string | undefined;
}

const NO_DEVICE: DeviceIdentity = { type: 'tun', name: undefined };

/** Faults are recorded. */
export function resolveDevice(draft: Draft, top: SourcePosition): DeviceIdentity {
  const { findings, settings } = draft;
  if (settings.device === undefined) {
    if (!draft.mentioned.has('dev')) {
      refuse(findings, top, 'CONFIG_NO_DEVICE', 'no `dev` line: the config names no device', {
        fix: 'dev tun',
      });
    }
    return NO_DEVICE;
  }
  const { value: name, where } = settings.device;
  const type = deviceType(draft, name);
  if (type === 'null') {
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
  if (type === 'tun') refuseTapLines(draft);
  else warnAboutAddressOfPort(draft);
  return { type: type === 'tap' ? 'tap' : 'tun', name: isDeviceType(name) ? undefined : name };
}

function refuseTapLines({ settings: { linkAddress, bridge }, findings }: Draft): void {
  const fix = 'remove the line, or write `dev tap` on both ends';
  if (linkAddress !== undefined) {
    const what = 'lladdr on a tun device, which has no MAC address';
    refuse(findings, linkAddress.where, 'CONFIG_DEVICE', what, { fix });
  }
  if (bridge !== undefined) {
    const what = 'bridge on a tun device, which carries no Ethernet frames';
    refuse(findings, bridge.where, 'CONFIG_DEVICE', what, { fix });
  }
}

function warnAboutAddressOfPort({ settings, findings }: Draft): void {
  const { bridge } = settings;
  const address = settings.ifconfig ?? settings.ifconfig6;
  if (bridge === undefined || address === undefined || settings.ifconfigNoExec !== undefined) return;
  warn(
    findings,
    address.where,
    'CONFIG_CONTRADICTION',
    'an address on the port of a bridge is not reachable',
    {
      why: `what comes in by the device belongs to ${bridge.value}, and so do the addresses of this host there`,
      fix: `remove the line, and give the address to the bridge: ip address add ADDRESS/LENGTH dev ${bridge.value}`,
    },
  );
}

/** As a name such a word leaves it to the kernel. */
export function isDeviceType(name: string): name is DeviceType {
  return name === 'tun' || name === 'tap';
}

function usable(address: number): boolean {
  const first = address >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}

const TAP_MASK = {
  what: 'a tap device',
  why: 'a tap device is a port of a network, not one end of a line',
  longest: 32,
};
const SUBNET_MASK = {
  what: '`topology subnet`',
  why: 'with topology subnet the second address of ifconfig is the mask of a network of at least four addresses',
  longest: 30,
};

function resolveSubnet(
  draft: Draft,
  { value: { local, second: mask }, where }: Setting<Settings['ifconfig']>,
  type: DeviceType,
): InterfaceAddress | undefined {
  const address = parseIpv4(local) ?? 0;
  const bits = parseIpv4(mask) ?? 0;
  const prefixLength = maskLength(bits);
  const { what, why, longest } = type === 'tap' ? TAP_MASK : SUBNET_MASK;
  if (prefixLength === undefined || prefixLength < 1 || prefixLength > longest) {
    const ifPeer = type === 'tap' ? '' : `\nor, when ${mask} is the peer, remove \`topology subnet\``;
    refuse(draft.findings, where, 'CONFIG_NETMASK', `${mask} is not a netmask for ${what}`, {
      why,
      fix: `ifconfig ${local} 255.255.255.0${ifPeer}`,
    });
    return undefined;
  }
  const network = (address & bits) >>> 0;
  const broadcast = (network | ~bits) >>> 0;
  // RFC 3021: in a network of two addresses, or of one, each is a host's.
  if (prefixLength <= 30 && (address === network || address === broadcast)) {
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

export function resolveAddress(draft: Draft, type: DeviceType): InterfaceAddress | undefined {
  const { findings, settings } = draft;
  if (settings.ifconfig === undefined) return undefined;
  const { value, where } = settings.ifconfig;
  const subnet = type === 'tap' || settings.topology?.value === 'subnet';
  for (const address of subnet ? [value.local] : [value.local, value.second]) {
    const number = parseIpv4(address);
    if (number === undefined || usable(number) || (!subnet && looksLikeNetmask(address))) continue;
    refuse(findings, where, 'CONFIG_IFCONFIG', `${address} cannot be the address of a host`, {
      fix: 'take one of a private network: 10.254.0.1',
    });
    return undefined;
  }
  return subnet
    ? resolveSubnet(draft, settings.ifconfig, type)
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

/** As OpenVPN 2.6: link-mtu less IV, one block of padding, HMAC and TCP's length; a packet id inside of the cipher is forgotten. */
function convertLinkMtu(draft: Draft, cipher: CipherSpec, digest: DigestSpec, stream: boolean): number {
  const { linkMtu, tunMtu } = draft.settings;
  if (linkMtu === undefined) return tunMtu?.value.mtu ?? DEFAULT_MTU;
  const packetId = cipher.blockSize === 0 && draft.settings.noReplay === undefined ? PACKET_ID_SIZE : 0;
  const mtu = linkMtu.value - 2 * cipher.blockSize - packetId - digest.size - (stream ? 2 : 0);
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

export function resolveMtu(
  draft: Draft,
  cipher: CipherSpec,
  digest: DigestSpec,
  stream: boolean,
  type: DeviceType,
): PeerConfig['mtu'] {
  const { settings } = draft;
  const tunMtu = convertLinkMtu(draft, cipher, digest, stream);
  const fromLinkMtu = settings.linkMtu !== undefined;
  const fragment = settings.fragment?.value;
  const ipv6 = settings.ifconfig6 ?? draft.routes6[0];
  // The kernel takes IPv6 off a device below it.
  if (ipv6 !== undefined && tunMtu < IPV6_MIN_MTU) {
    refuse(
      draft.findings,
      ipv6.where,
      'CONFIG_MTU',
      `IPv6 needs an MTU of ${IPV6_MIN_MTU}; the device has ${tunMtu}`,
      {
        fix: `tun-mtu ${IPV6_MIN_MTU}`,
      },
    );
  }
  const mssfix = settings.mssfix?.value ?? { mode: 'default' as const };
  return {
    tunMtu,
    occMtu: settings.tunMtu?.value.occMtu,
    tunMtuExtra: settings.tunMtuExtra?.value ?? (type === 'tap' ? TAP_MTU_EXTRA : 0),
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
