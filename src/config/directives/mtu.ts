import { choice, either, int, optional } from '../arguments.ts';
import { set } from '../draft.ts';
import type { Draft } from '../draft.ts';
import { warn } from '../findings.ts';
import type { Line } from '../lexer.ts';
import type { CompressionFraming } from '../../protocol/framing.ts';
import type { MssFix } from '../../protocol/mtu.ts';
import { ignored, refused, supported } from './spec.ts';
import type { Section } from './spec.ts';

/**
 * The largest inner packet: a UDP payload (65507) less the largest framing - HMAC 64, IV 16, packet id 8, padding 16,
 * compression 1.
 */
const MAX_TUN_MTU = 65507 - 105;
/** Stock refuses smaller ones. */
const MIN_TUN_MTU = 100;
const MIN_FRAGMENT = 68;
/** Seconds between measurements, each of which takes about one. */
const MIN_PROBE_INTERVAL = 1;
const MAX_PROBE_INTERVAL = 86_400;

function mssFix(value: number | undefined, mode: 'mtu' | 'fixed' | undefined): MssFix {
  if (value === undefined) return { mode: 'default' };
  if (value === 0) return { mode: 'off' };
  return { mode: mode ?? 'payload', value };
}

type Compression = 'stub' | 'stub-v2' | 'migrate' | 'lzo' | 'lz4' | 'lz4-v2';

/** The same framing without compression. */
const UNCOMPRESSED: Partial<Record<CompressionFraming, string>> = {
  lzo: 'comp-lzo no',
  lz4: 'compress stub',
  'lz4-v2': 'compress stub-v2',
};

function setFraming(draft: Draft, kind: CompressionFraming, line: Line): void {
  const without = UNCOMPRESSED[kind];
  set(draft, 'framing', { kind, compresses: without !== undefined }, line);
  if (without === undefined) return;
  const what = 'what the peer compresses is read, but nothing is compressed here';
  warn(draft.findings, line.where, 'CONFIG_DECOMPRESS_ONLY', what, {
    why: 'the length of a compressed packet tells of its content, encrypted or not (VORACLE)',
    fix: `remove the line on both ends, or write \`${without}\` there`,
  });
}

function applyCompress(draft: Draft, algorithm: Compression, line: Line): void {
  setFraming(draft, algorithm === 'migrate' ? 'off' : algorithm, line);
}

function applyCompLzo(draft: Draft, mode: 'yes' | 'no' | 'adaptive', line: Line): void {
  setFraming(draft, mode === 'no' ? 'lzo-stub' : 'lzo', line);
}

export const MTU: Section = {
  title: 'Packet sizes and framing',
  directives: [
    supported(
      'tun-mtu',
      [int('BYTES', MIN_TUN_MTU, MAX_TUN_MTU), optional(int('OCC_BYTES', MIN_TUN_MTU, 65535))],
      'MTU of the device; the second number is only told to the peer in its place.',
      (draft, [mtu, occMtu], line) => set(draft, 'tunMtu', { mtu, occMtu }, line),
      { preset: '1500', difference: 'Up to 65402; OpenVPN 2.5 and older do not know the second number.' },
    ),
    supported(
      'tun-mtu-extra',
      [int('BYTES', 0, 1000)],
      'Room for an Ethernet header; counts in `mssfix`, and the peer is told of it.',
      (draft, [bytes], line) => set(draft, 'tunMtuExtra', bytes, line),
      { preset: '32 on a tap device, else 0' },
    ),
    supported(
      'mssfix',
      [optional(int('BYTES', 0, 65535)), optional(choice(['mtu', 'fixed']))],
      'Lower the MSS of TCP connections so that their packets fit the path; 0 turns it off.',
      (draft, [value, mode], line) => set(draft, 'mssfix', mssFix(value, mode), line),
      {
        preset: '1492 mtu',
        difference:
          '`mtu` and `fixed` are unknown to OpenVPN 2.5 and older, whose default is `mssfix 1450` without outer headers.',
      },
    ),
    supported(
      'fragment',
      [int('BYTES', MIN_FRAGMENT, 65507), optional(choice(['mtu']))],
      'Send packets in datagrams of at most this size, `mtu`: outer headers included. Needed on both ends, also when their sizes differ.',
      (draft, [bytes, mtu], line) => set(draft, 'fragment', { bytes, countsOuter: mtu === 'mtu' }, line),
      {
        preset: 'off',
        difference:
          '`mtu` is unknown to OpenVPN 2.5 and older, which make shorter fragments of the same number; the receiver does not mind.',
      },
    ),
    supported(
      'link-mtu',
      [int('BYTES', MIN_TUN_MTU, 65507)],
      'Largest UDP payload; converted to the MTU of the device as OpenVPN 2.6 does.',
      (draft, [bytes], line) => set(draft, 'linkMtu', bytes, line),
      {
        aliases: ['udp-mtu'],
        difference:
          'Read as 2.6 does, which forgets the 8 bytes of the packet id: 2.5 and older come to a `tun-mtu` 8 bytes smaller.',
      },
    ),
    supported(
      'max-packet-size',
      [int('BYTES', 0, 65535)],
      'The same as `mssfix BYTES mtu` in a tunnel without TLS.',
      (draft, [value], line) => set(draft, 'mssfix', mssFix(value, 'mtu'), line),
    ),
    supported(
      'comp-lzo',
      [optional(choice(['yes', 'no', 'adaptive']))],
      'Framing of LZO compression. tsvpn sends uncompressed packets and, but with `no`, reads compressed ones.',
      (draft, [mode = 'adaptive'], line) => applyCompLzo(draft, mode, line),
      {
        preset: 'no framing',
        difference:
          'Never compresses; neither does OpenVPN from 2.5 on, but with `allow-compression yes` up to 2.6.',
      },
    ),
    supported(
      'compress',
      [optional(choice(['stub', 'stub-v2', 'migrate', 'lzo', 'lz4', 'lz4-v2']))],
      'Framing of compression, the same on both ends. tsvpn sends uncompressed packets and, but with `stub` and `stub-v2`, reads compressed ones.',
      (draft, [algorithm = 'stub'], line) => applyCompress(draft, algorithm, line),
      {
        preset: 'no framing; stub without argument',
        difference:
          'Never compresses. `snappy` of 2.3 and 2.4 betas is refused; OpenVPN 2.5 and older do not know `migrate`.',
      },
    ),
    supported(
      'allow-compression',
      [choice(['no', 'asym', 'yes'])],
      'Whether compression may be configured; tsvpn never compresses what it sends.',
      (draft, [mode], line) => {
        set(draft, 'allowCompression', mode, line);
        if (mode !== 'yes') return;
        warn(draft.findings, line.where, 'CONFIG_NO_EFFECT', 'allow-compression yes has no effect', {
          why: 'tsvpn never compresses what it sends',
          fix: 'allow-compression no',
        });
      },
      { difference: '`yes` is read as `asym`, as OpenVPN 2.7 does.' },
    ),
    supported(
      'disable-occ',
      [],
      "Do not ask the peer for its options. The peer's question is answered all the same.",
      (draft, _, line) => set(draft, 'disableOcc', true, line),
      { difference: 'None: OpenVPN answers the peer, too.' },
    ),
    supported(
      'mtu-probe',
      [either(choice(['off', 'start']), int('SECONDS', MIN_PROBE_INTERVAL, MAX_PROBE_INTERVAL))],
      'Measure the path MTU with some dozen packets when the peer is first heard or its path is another one, with a number every so many seconds; where the path carries less than the config assumes, packets become shorter (docs/mtu.md). OpenVPN does not know this line: put `setenv opt` in front.',
      (draft, [when], line) =>
        set(draft, 'mtuProbe', typeof when === 'number' ? { everySec: when } : when, line),
      { preset: 'start' },
    ),
    ignored(
      'tun-mtu-max',
      'Size of buffers; tsvpn accepts every packet UDP can carry.',
      undefined,
      'None that can be seen: OpenVPN 2.6 sizes its buffers by it, which are always large enough here.',
    ),
    ignored('mtu-test', 'Measure the path MTU at start.', 'tsvpn runs no test of its own'),
    ignored(
      'comp-noadapt',
      'Compression setting.',
      undefined,
      'None that can be seen: nothing is compressed.',
    ),
    ignored(
      'compat-mode',
      'Behave like an older version.',
      'write the settings the older version had',
      'In a static-key tunnel OpenVPN changes no more than the default of `allow-compression`.',
    ),
    refused(
      'mtu-dynamic',
      'Old name of fragment.',
      'OpenVPN replaced it by `fragment`',
      'remove it on both ends',
    ),
  ],
};
