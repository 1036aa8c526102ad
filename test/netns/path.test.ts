/** That the paths of the MTU tests and benches are what they say, seen from the gateways by ping. */
import { expect, it } from 'vitest';
import { PATH_A, PATH_B, PATH_KINDS, type PathKind } from '../../src/lab/path.ts';
import type { Namespace } from '../support/netns.ts';
import { createPathLab, PATH_MTUS, type PathLab, type PathLabOptions } from '../support/path.ts';

const HEADERS = { ipv4: 28, ipv6: 48 } as const;
type Family = keyof typeof HEADERS;
const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];
const OUTER = {
  a: { ipv4: PATH_A.outer, ipv6: PATH_A.outer6 },
  b: { ipv4: PATH_B.outer, ipv6: PATH_B.outer6 },
} as const;
const EDGE_MTU = 1500;
const ANSWERED = / 1 received/;
const TOLD_NOTHING = /^(?!.*(too (big|long)|needed)).* 0 received/s;

/** What ping(8) says to an echo request in an IP packet of `size` bytes; `do` forbids fragments, `dont` allows them. */
async function ping(from: Namespace, to: string, family: Family, size: number, df: 'do' | 'dont') {
  const words = ['-n', '-c', '1', '-W', '0.5', '-M', df, '-s', `${size - HEADERS[family]}`];
  const { stdout, stderr } = await from.run(['ping', ...words, to]);
  return stdout + stderr;
}

/** What it must say of one byte too much. */
function refusal(kind: PathKind, mtu: number): RegExp {
  // The links between site and router have this MTU: the gateway's own kernel refuses.
  if (mtu >= EDGE_MTU) return new RegExp(`message too long, mtu[=: ]*${mtu}\\b`);
  return kind === 'icmp' ? tooBig(mtu) : TOLD_NOTHING;
}

function tooBig(mtu: number): RegExp {
  return new RegExp(`(Frag needed and DF set \\(mtu = |Packet too big: mtu=)${mtu}\\b`);
}

async function on(options: PathLabOptions, use: (lab: PathLab) => Promise<void>): Promise<void> {
  const lab = createPathLab(options);
  try {
    await use(lab);
  } finally {
    await lab.destroy();
  }
}

/** Makes the gateways forget what they have learnt of the path. */
async function forget({ gatewayA, gatewayB }: PathLab): Promise<void> {
  for (const gateway of [gatewayA, gatewayB]) {
    await gateway.ip('route', 'flush', 'cache');
    await gateway.ip('-6', 'route', 'flush', 'cache');
  }
}

const CASES = PATH_KINDS.flatMap((kind) => PATH_MTUS.map((mtu) => ({ kind, mtu })));

it.concurrent.each(CASES)(
  'a path of $mtu, $kind, carries $mtu bytes and no more, and what may be cut',
  ({ kind, mtu }) =>
    on({ mtu, kind, ipv6: true }, async (lab) => {
      for (const family of FAMILIES) {
        expect(await ping(lab.gatewayA, OUTER.b[family], family, mtu, 'do')).toMatch(ANSWERED);
        expect(await ping(lab.gatewayB, OUTER.a[family], family, mtu, 'do')).toMatch(ANSWERED);
        expect(await ping(lab.gatewayA, OUTER.b[family], family, mtu + 1, 'do')).toMatch(refusal(kind, mtu));
        await forget(lab);
        expect(await ping(lab.gatewayB, OUTER.a[family], family, mtu + 1, 'do')).toMatch(refusal(kind, mtu));
      }
      await forget(lab);
      const cut = (family: Family) => ping(lab.gatewayA, OUTER.b[family], family, mtu + 600, 'dont');
      expect(await cut('ipv4')).toMatch(kind === 'no-fragments' ? TOLD_NOTHING : ANSWERED);
      // In IPv6 the senders cut, when they have been told: one of the request, then the other of the answer.
      const answers = [await cut('ipv6'), await cut('ipv6'), await cut('ipv6')];
      const arrives = kind === 'icmp' || (kind === 'black-hole' && mtu >= EDGE_MTU);
      expect(answers.at(-1)).toMatch(arrives ? ANSWERED : TOLD_NOTHING);
    }),
);

it.concurrent('a path may be narrower in one direction than in the other', () =>
  on({ mtu: { there: 1400, back: 1500 }, kind: 'icmp', ipv6: true }, async (lab) => {
    for (const family of FAMILIES) {
      expect(await ping(lab.gatewayA, OUTER.b[family], family, 1401, 'do')).toMatch(tooBig(1400));
      await forget(lab);
      // The request passes; the answer, of the same size and by the narrow way, is cut once its sender knows.
      const first = await ping(lab.gatewayB, OUTER.a[family], family, 1401, 'do');
      expect(first).not.toMatch(tooBig(1400));
      expect(await ping(lab.gatewayB, OUTER.a[family], family, 1401, 'do')).toMatch(ANSWERED);
    }
  }),
);

it.concurrent('a path may change while it is in use', () =>
  on({ mtu: 1500, kind: 'black-hole', ipv6: false }, async (lab) => {
    const pingOf = (size: number) => ping(lab.gatewayA, PATH_B.outer, 'ipv4', size, 'do');
    expect(await pingOf(1500)).toMatch(ANSWERED);
    lab.setMtu(1300);
    expect(await pingOf(1301)).toMatch(TOLD_NOTHING);
    expect(await pingOf(1300)).toMatch(ANSWERED);
    lab.setMtu(1500);
    expect(await pingOf(1500)).toMatch(ANSWERED);
  }),
);
