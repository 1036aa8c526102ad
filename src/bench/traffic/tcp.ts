/** TCP through a tunnel, by iperf3, with the CPU time both ends spend meanwhile. */
import { findProgram } from '../../lab/programs.ts';
import { ExitCode, OperatorError } from '../../errors.ts';
import type { Values } from '../metrics.ts';
import { startJob } from '../processes.ts';
import { cpuSeconds } from '../resources.ts';
import type { EndName } from '../testbed.ts';
import type { Tunnel } from '../tunnel.ts';

const PORT = 5201;
/** For start, connection and the end of a transfer over a slow tunnel. */
const GRACE_MS = 15_000;
const GIGABYTE = 1e9;

export interface TcpOptions {
  readonly seconds: number;
  readonly streams: number;
  /** From a to b, from b to a, or both at once. */
  readonly direction: 'forward' | 'reverse' | 'both';
  /** Maximum segment size to ask for, bytes. */
  readonly mss?: number;
}

/** Of iperf3's JSON, what is read here. */
interface IperfReport {
  readonly error?: string;
  readonly end?: {
    readonly sum_received: { readonly bytes: number; readonly seconds: number };
    readonly sum_received_bidir_reverse?: { readonly bytes: number; readonly seconds: number };
  };
}

/** Megabits are of TCP payload that arrived; CPU seconds are per 10^9 bytes of it, and need a process to spend them. */
export type TcpResult = Pick<Values, 'cpuPerGbA' | 'cpuPerGbB' | 'cpuPerGb'> & { readonly mbps: number };

/** Path of iperf3. Throws OperatorError where it is not installed. */
export function iperfProgram(): string {
  const found = findProgram('iperf3');
  if (found !== undefined) return found;
  throw new OperatorError({
    code: 'BENCH_NO_IPERF3',
    what: 'iperf3 is not installed here',
    why: 'the TCP measurements are made with it',
    fix: 'apt-get install iperf3, or name other measurements with --only',
    exitCode: ExitCode.Failure,
  });
}

export async function measureTcp(tunnel: Tunnel, options: TcpOptions): Promise<TcpResult> {
  const { testbed, address } = tunnel;
  const program = iperfProgram();
  const timeoutMs = options.seconds * 1000 + GRACE_MS;
  const serverWords = [
    program,
    '--server',
    '--one-off',
    '--forceflush',
    '--bind',
    address.b,
    '-p',
    `${PORT}`,
  ];
  const server = startJob(testbed, 'b', serverWords, timeoutMs);
  try {
    while (!(await server.nextLine()).startsWith('Server listening')) continue;
    const before = cpuOfEnds(tunnel);
    const client = startJob(testbed, 'a', clientWords(program, address.b, options), timeoutMs);
    const report = JSON.parse(await client.finished()) as IperfReport;
    return resultOf(report, before, cpuOfEnds(tunnel));
  } finally {
    await server.kill();
  }
}

function clientWords(
  program: string,
  host: string,
  { seconds, streams, direction, mss }: TcpOptions,
): string[] {
  const words = [program, '--client', host, '-p', `${PORT}`, '--json', '--connect-timeout', '5000'];
  words.push('--time', `${seconds}`, '--parallel', `${streams}`);
  if (direction === 'reverse') words.push('--reverse');
  if (direction === 'both') words.push('--bidir');
  if (mss !== undefined) words.push('--set-mss', `${mss}`);
  return words;
}

type EndCpu = Readonly<Record<EndName, number>>;

/** CPU seconds both ends have used so far; NaN where there is no process. */
function cpuOfEnds({ daemons }: Tunnel): EndCpu {
  const used = (end: EndName) => (daemons[end] === undefined ? Number.NaN : cpuSeconds(daemons[end].pid));
  return { a: used('a'), b: used('b') };
}

function resultOf({ error, end }: IperfReport, before: EndCpu, after: EndCpu): TcpResult {
  if (error !== undefined || end === undefined) throw new Error(`iperf3: ${error ?? 'no result'}`);
  const flows = [end.sum_received, end.sum_received_bidir_reverse].filter((flow) => flow !== undefined);
  const mbps = flows.reduce((sum, flow) => sum + (flow.bytes * 8) / flow.seconds / 1e6, 0);
  const bytes = flows.reduce((sum, flow) => sum + flow.bytes, 0);
  const cpuPerGbA = ((after.a - before.a) * GIGABYTE) / bytes;
  const cpuPerGbB = ((after.b - before.b) * GIGABYTE) / bytes;
  return Number.isNaN(cpuPerGbA) ? { mbps } : { mbps, cpuPerGb: cpuPerGbA + cpuPerGbB, cpuPerGbA, cpuPerGbB };
}
