import { choice, int, optional } from '../arguments.ts';
import { set } from '../draft.ts';
import type { Draft } from '../draft.ts';
import { refuse, warn } from '../findings.ts';
import type { Line } from '../lexer.ts';
import type { MssFix } from '../../protocol/mtu.ts';
import { ignored, later, refused, supported } from './spec.ts';
import type { Section } from './spec.ts';

/**
 * The largest inner packet: a UDP payload (65507) less the largest framing - HMAC 64, IV 16, packet id 8, padding 16,
 * compression 1.
 */
const MAX_TUN_MTU = 65507 - 105;
/** Stock refuses smaller ones. */
const MIN_TUN_MTU = 100;

function mssFix(value: number | undefined, mode: 'mtu' | 'fixed' | undefined): MssFix {
  if (value === undefined) return { mode: 'default' };
  if (value === 0) return { mode: 'off' };
  return { mode: mode ?? 'payload', value };
}

type Compression = 'stub' | 'stub-v2' | 'migrate' | 'lzo' | 'lz4' | 'lz4-v2';

function applyCompress(draft: Draft, algorithm: Compression, line: Line): void {
  if (algorithm === 'migrate') {
    set(draft, 'framing', { kind: 'off', compresses: false }, line);
  } else if (algorithm === 'stub' || algorithm === 'stub-v2') {
    set(draft, 'framing', { kind: algorithm, compresses: false }, line);
  } else {
    const what = `compress ${algorithm} is not supported by this version of tsvpn yet`;
    refuse(draft.findings, line.where, 'CONFIG_NOT_YET', what, {
      why: 'the peer may send compressed packets, which tsvpn cannot read',
      fix: 'remove the line on both ends; compression weakens encryption and newer OpenVPN does not send it either',
    });
  }
}

function applyCompLzo(draft: Draft, mode: 'yes' | 'no' | 'adaptive', line: Line): void {
  set(draft, 'framing', { kind: 'lzo', compresses: mode !== 'no' }, line);
  if (mode === 'no') return;
  warn(draft.findings, line.where, 'CONFIG_COMP_LZO', 'packets the peer compresses will be dropped', {
    why: 'tsvpn uses the framing of comp-lzo, but neither compresses nor decompresses',
    fix: 'write `comp-lzo no` on both ends, or better: remove the line on both ends',
  });
}

export const MTU: Section = {
  title: 'Packet sizes and framing',
  directives: [
    supported(
      'tun-mtu',
      [int('BYTES', MIN_TUN_MTU, MAX_TUN_MTU), optional(int('OCC_BYTES', MIN_TUN_MTU, 65535))],
      'MTU of the device; the second number is only told to the peer in its place.',
      (draft, [mtu, occMtu], line) => set(draft, 'tunMtu', { mtu, occMtu }, line),
      { preset: '1500' },
    ),
    supported(
      'mssfix',
      [optional(int('BYTES', 0, 65535)), optional(choice(['mtu', 'fixed']))],
      'Lower the MSS of TCP connections so that their packets fit the path; 0 turns it off.',
      (draft, [value, mode], line) => set(draft, 'mssfix', mssFix(value, mode), line),
      { preset: '1492 mtu' },
    ),
    supported(
      'link-mtu',
      [int('BYTES', MIN_TUN_MTU, 65507)],
      'Largest UDP payload; converted to the MTU of the device as OpenVPN 2.6 does.',
      (draft, [bytes], line) => set(draft, 'linkMtu', bytes, line),
      { aliases: ['udp-mtu'] },
    ),
    supported(
      'max-packet-size',
      [int('BYTES', 154, 65535)],
      'The same as `mssfix BYTES mtu` here.',
      (draft, [value], line) => set(draft, 'mssfix', { mode: 'mtu', value }, line),
    ),
    supported(
      'comp-lzo',
      [optional(choice(['yes', 'no', 'adaptive']))],
      'Framing of LZO compression. tsvpn sends uncompressed packets and drops compressed ones.',
      (draft, [mode = 'adaptive'], line) => applyCompLzo(draft, mode, line),
      { preset: 'no framing' },
    ),
    supported(
      'compress',
      [optional(choice(['stub', 'stub-v2', 'migrate', 'lzo', 'lz4', 'lz4-v2']))],
      'Framing of compression: stub or stub-v2. Must be the same on both ends.',
      (draft, [algorithm = 'stub'], line) => applyCompress(draft, algorithm, line),
      { preset: 'no framing; stub without argument' },
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
    ),
    supported(
      'disable-occ',
      [],
      "Do not ask the peer for its options. The peer's question is answered all the same.",
      (draft, _, line) => set(draft, 'disableOcc', true, line),
    ),
    later(
      'fragment',
      'Split packets inside the tunnel.',
      'remove it on both ends and lower `mssfix` or `tun-mtu`',
    ),
    ignored('tun-mtu-extra', 'Room for Ethernet headers.', 'tsvpn has no `dev tap` yet'),
    ignored('tun-mtu-max', 'Size of buffers; tsvpn accepts every packet UDP can carry.'),
    ignored('mtu-test', 'Measure the path MTU at start.', 'tsvpn runs no test of its own'),
    ignored('comp-noadapt', 'Compression setting.'),
    ignored('compat-mode', 'Behave like an older version.', 'write the settings the older version had'),
    refused(
      'mtu-dynamic',
      'Old name of fragment.',
      'OpenVPN replaced it by `fragment`',
      'remove it on both ends',
    ),
  ],
};
