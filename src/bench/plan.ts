/** Which contenders meet in which measurements. */
import { ExitCode, OperatorError } from '../errors.ts';
import { codec, codecBatches } from './codec.ts';
import {
  contenders,
  hubContender,
  MAIN,
  nothingMissing,
  programMissing,
  staticKeyContender,
  VARIANTS,
  type Contender,
} from './contenders.ts';
import { DEFAULT_SHAPE, type StaticKeyEnd, type StaticKeyShape } from './drivers/static-key.ts';
import { forwarding } from './forwarding.ts';
import type { InProcessBench } from './in-process.ts';
import { MEASUREMENTS, peakMemory, tcp, udp, type Measurement } from './measurements.ts';
import { MTU_TCP, MTU_UDP, WIDE_MTU } from './mtu.ts';
import { nat } from './nat.ts';
import { natContenders } from './nat-contenders.ts';
import { natPath } from './nat-path.ts';
import { PATH_MEASUREMENTS, pathParts, QUICK_PATH_MEASUREMENTS } from './paths.ts';
import { pipeline } from './pipeline.ts';
import { routes } from './routes.ts';
import { SUITE_NAMES } from './suites.ts';

/** Contenders whose tunnels stand at the same time, and what is measured on them. */
export interface Part {
  readonly contenders: readonly Contender[];
  readonly measurements: readonly Measurement[];
}

export interface Plan {
  readonly inProcess: readonly InProcessBench[];
  readonly parts: readonly Part[];
}

export interface PlanOptions {
  /** Names of measurements; undefined for all, or all of `--quick`. */
  readonly only: readonly string[] | undefined;
  /** Names of contenders of the main comparison; undefined for the usual ones. */
  readonly contenders: readonly string[] | undefined;
  readonly quick: boolean;
  readonly tsvpnCommand: readonly string[];
}

const QUICK = [
  'codec',
  'routes',
  'forwarding',
  'nat',
  'nat-path',
  'pipeline',
  'tcp1',
  'udp64',
  'rtt',
  'rtt-load',
  'rss',
  'nat-tcp',
  'peers-rss',
  'mtu-udp',
  ...QUICK_PATH_MEASUREMENTS,
];
const QUICK_CONTENDERS = MAIN.filter((name) => name !== 'fastd');
/** Of source NAT. */
const QUICK_NAT_CONTENDERS = ['stock', 'tsvpn', 'tsvpn-routed'];

const ONE_STREAM = { streams: 1, direction: 'forward' } as const;
const PROVIDERS = tcp('providers', 'TCP, 1 stream, by crypto provider and offload', ONE_STREAM);
const SUITES = tcp('suites', 'TCP, 1 stream, by cipher and digest', ONE_STREAM);
const THROUGH = 'client → gateway → LAN';
const NAT: readonly Measurement[] = [
  tcp('nat-tcp', `TCP, 1 stream, ${THROUGH}, source NAT`, ONE_STREAM),
  tcp('nat-tcp-reverse', `TCP, 1 stream, LAN → gateway → client, source NAT`, {
    streams: 1,
    direction: 'reverse',
  }),
  udp(64, 'nat-udp64', `UDP, IP packets of 64 bytes, ${THROUGH}, source NAT`),
];
const PEERS: readonly Measurement[] = [
  tcp('peers-tcp', 'TCP, 1 stream, by the number of peers at end b', ONE_STREAM),
  { name: 'peers-rss', title: 'Peak memory, by the number of peers at end b', once: true, run: peakMemory },
];
const MANY_PEERS = 50;
const IN_PROCESS: readonly InProcessBench[] = [
  codec,
  codecBatches,
  routes,
  forwarding,
  nat,
  natPath,
  pipeline,
];

/** Names that --only knows, in the order of the run. */
export const MEASUREMENT_NAMES: readonly string[] = [
  ...[...IN_PROCESS, ...MEASUREMENTS, PROVIDERS, SUITES, ...NAT, ...PEERS, MTU_UDP, MTU_TCP].map(
    ({ name }) => name,
  ),
  ...PATH_MEASUREMENTS,
];

/** Throws OperatorError (exit code 2) for names it does not know. */
export function planOf(options: PlanOptions): Plan {
  const { tsvpnCommand, quick } = options;
  checkNames('only', options.only, MEASUREMENT_NAMES);
  const known = contenders(tsvpnCommand);
  checkNames('contenders', options.contenders, [...known.keys()]);
  // Whoever chooses contenders means the main comparison, unless --only says more.
  const all = options.contenders === undefined ? MEASUREMENT_NAMES : MEASUREMENTS.map(({ name }) => name);
  const wanted = new Set(options.only ?? (quick ? all.filter((name) => QUICK.includes(name)) : all));
  const named = (names: readonly string[]) => names.map((name) => known.get(name)!);
  const parts: Part[] = [
    {
      contenders: named(options.contenders ?? (quick ? QUICK_CONTENDERS : MAIN)),
      measurements: MEASUREMENTS,
    },
    { contenders: named(['stock', 'tsvpn', ...VARIANTS]), measurements: [PROVIDERS] },
    { contenders: [known.get('stock')!, ...suiteContenders(tsvpnCommand)], measurements: [SUITES] },
    {
      contenders: natContenders(tsvpnCommand).filter(
        ({ name }) => !quick || QUICK_NAT_CONTENDERS.includes(name),
      ),
      measurements: NAT,
    },
    {
      contenders: [...named(['stock', 'tsvpn']), hubContender(MANY_PEERS, tsvpnCommand)],
      measurements: PEERS,
    },
    { contenders: wideContenders(tsvpnCommand, ['mssfix 0'], ''), measurements: [MTU_UDP] },
    {
      contenders: [
        ...wideContenders(tsvpnCommand, ['mssfix 0'], ''),
        ...wideContenders(tsvpnCommand, ['mssfix 1492 mtu'], ' mssfix'),
      ],
      measurements: [MTU_TCP],
    },
    ...pathParts(tsvpnCommand, quick),
  ];
  return {
    inProcess: IN_PROCESS.filter(({ name }) => wanted.has(name)),
    parts: parts
      .map(({ contenders, measurements }) => ({
        contenders,
        measurements: measurements.filter(({ name }) => wanted.has(name)),
      }))
      .filter(({ measurements }) => measurements.length > 0),
  };
}

function checkNames(option: string, names: readonly string[] | undefined, known: readonly string[]): void {
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new OperatorError({
    code: 'USAGE',
    what: `--${option} names '${unknown}', which there is not`,
    fix: `choose from: ${known.join(', ')}`,
    exitCode: ExitCode.Usage,
  });
}

const TSVPN: StaticKeyEnd = { implementation: 'tsvpn' };
const STOCK: StaticKeyEnd = { implementation: 'openvpn' };

/** Algorithms of OpenSSL's legacy provider must be asked for. */
const LEGACY_LINES = ['providers legacy default'];

function suiteContenders(tsvpnCommand: readonly string[]): Contender[] {
  return SUITE_NAMES.map(([cipher, auth]) => {
    const lines = cipher === 'BF-CBC' ? LEGACY_LINES : [];
    const shape = { ...DEFAULT_SHAPE, cipher, auth, lines };
    return alike(`${cipher}/${auth}`, `tsvpn ↔ tsvpn, ${cipher} and ${auth}`, TSVPN, shape, tsvpnCommand);
  });
}

/** Stock and tsvpn with an MTU that fits every size, which shall be cut on the outside. */
function wideContenders(
  tsvpnCommand: readonly string[],
  mssfix: readonly string[],
  suffix: string,
): Contender[] {
  const shape = { ...DEFAULT_SHAPE, lines: [`tun-mtu ${WIDE_MTU}`, 'setenv opt mtu-probe off', ...mssfix] };
  return [
    alike(
      `stock${suffix}`,
      `OpenVPN ↔ OpenVPN, MTU ${WIDE_MTU}, ${mssfix.join()}`,
      STOCK,
      shape,
      tsvpnCommand,
    ),
    alike(`tsvpn${suffix}`, `tsvpn ↔ tsvpn, MTU ${WIDE_MTU}, ${mssfix.join()}`, TSVPN, shape, tsvpnCommand),
  ];
}

function alike(
  name: string,
  title: string,
  end: StaticKeyEnd,
  shape: StaticKeyShape,
  tsvpnCommand: readonly string[],
): Contender {
  const missing = end === STOCK ? programMissing('openvpn', 'openvpn') : nothingMissing;
  return staticKeyContender({ name, title, ends: { a: end, b: end }, shape, missing, tsvpnCommand });
}
