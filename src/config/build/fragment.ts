/** Can `fragment` carry packets, and how long ones? */
import { IPV6_MIN_MTU } from '../../packet/ipv6.ts';
import { innerMtu } from '../../protocol/mtu.ts';
import { channelShape, fragmentFamily } from '../channel-shape.ts';
import type { Draft } from '../draft.ts';
import { refuse, warn } from '../findings.ts';
import type { PeerConfig } from '../model.ts';

/** RFC 791 3.2: what every link carries. */
const MIN_IPV4_MTU = 68;

type Part = Pick<PeerConfig, 'cipher' | 'digest' | 'replay' | 'framing' | 'mtu' | 'transport'>;

export function checkFragment(draft: Draft, part: Part): void {
  const { fragment, ifconfig6 } = draft.settings;
  if (fragment === undefined) return;
  const longest = innerMtu(channelShape(part), fragmentFamily(part));
  const ipv6 = ifconfig6 ?? draft.routes6[0];
  const needed = ipv6 === undefined ? MIN_IPV4_MTU : IPV6_MIN_MTU;
  const bytes = `fragment ${fragment.value.bytes}`;
  const why = 'a packet becomes at most 32 fragments, each with an HMAC, IV and packet id of its own';
  if (longest < needed) {
    const what = `${bytes} leaves ${longest} bytes for a packet`;
    const family = ipv6 === undefined ? 'IPv4' : 'IPv6';
    const fix = `raise it on both ends: ${family} needs ${needed} bytes`;
    refuse(draft.findings, fragment.where, 'CONFIG_FRAGMENT', what, { why, fix });
  } else if (longest < part.mtu.tunMtu) {
    const what = `${bytes} cannot carry packets over ${longest} bytes`;
    const fix = `raise it on both ends, or write there\n    tun-mtu ${longest}`;
    warn(draft.findings, fragment.where, 'CONFIG_FRAGMENT', what, { why, fix });
  }
}
