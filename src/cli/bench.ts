/** `tsvpn bench`: measures tsvpn against stock OpenVPN and others on this machine. */
import { ExitCode } from '../errors.ts';
import { numberOption } from './arguments.ts';
import type { Command, Invocation, Io } from './command.ts';
import { interruptSignal } from './interrupt.ts';

const DEFAULT_SECONDS = '5';
const DEFAULT_REPEAT = '3';
const QUICK_SECONDS = '2';
const QUICK_REPEAT = '2';

export const bench: Command = {
  name: 'bench',
  summary: 'measure the speed of tsvpn, stock OpenVPN and others on this machine',
  usage: ['bench [--quick] [--only NAMES] [--contenders NAMES] [--out DIR] [--json]'],
  operands: { min: 0, max: 0 },
  options: {
    quick: { type: 'boolean', help: 'less of everything: a few minutes instead of an hour' },
    only: { type: 'string', value: 'NAMES', help: 'measure only these, separated by commas' },
    contenders: { type: 'string', value: 'NAMES', help: 'measure only these tunnels, separated by commas' },
    seconds: {
      type: 'string',
      value: 'N',
      help: `length of each TCP transfer (${DEFAULT_SECONDS}; quick ${QUICK_SECONDS})`,
    },
    repeat: {
      type: 'string',
      value: 'N',
      help: `times each measurement is repeated (${DEFAULT_REPEAT}; quick ${QUICK_REPEAT})`,
    },
    out: { type: 'string', value: 'DIR', help: 'write results.json, report.md and its plots there' },
    baseline: { type: 'string', value: 'FILE', help: 'compare the ratios to stock with those of this file' },
    json: { type: 'boolean', help: 'print the results as JSON (schema tsvpn.bench/1) instead of tables' },
  },
  examples: [
    { line: 'sudo tsvpn bench --quick', does: 'compare tsvpn with what is installed here, in short' },
    {
      line: 'sudo tsvpn bench --only tcp1 --contenders stock,tsvpn',
      does: 'one TCP stream, tsvpn against stock OpenVPN',
    },
    {
      line: 'tsvpn bench --only codec,routes,pipeline',
      does: 'the parts that need neither root nor network',
    },
  ],
  notes:
    'Everything runs in network namespaces of its own, the contenders by turns, and is removed at the end, whatever\n' +
    'happens. Needs root, /dev/net/tun and, for TCP, iperf3. Contenders: stock (OpenVPN on both ends), tsvpn,\n' +
    'tsvpn-stock and stock-tsvpn (one on each end), tsvpn-ipsecmb, tsvpn-openssl-mb, tsvpn-openssl, tsvpn-noble,\n' +
    'tsvpn-no-offload, wireguard-go, fastd, veth (no tunnel); what is not installed is listed as missing. Measurements\n' +
    'of source NAT, of many peers and of paths have contenders of their own.\n' +
    'Measurements: tcp1, tcp4 (streams; tcp1-reverse, tcp4-reverse, tcp-both), udp64, udp512, udp1400, rtt, rtt-load,\n' +
    'rss, nat-tcp, nat-tcp-reverse, nat-udp64, peers-tcp, peers-rss, providers, suites, mtu-udp, mtu-tcp, path-icmp,\n' +
    'path-black-hole, path-no-fragments; in this process: codec, codec-batches, routes, forwarding, nat, nat-path, pipeline.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const quick = invocation.flag('quick');
  const number = (name: string, fallback: string, max: number) =>
    numberOption(invocation.value(name) ?? fallback, name, 1, max);
  const seconds = number('seconds', quick ? QUICK_SECONDS : DEFAULT_SECONDS, 600);
  const repeat = number('repeat', quick ? QUICK_REPEAT : DEFAULT_REPEAT, 100);
  const baselineFile = invocation.value('baseline');
  const { runBench } = await import('../bench/bench.ts');
  const { readBaseline } = await import('../bench/baseline.ts');
  const baseline = baselineFile === undefined ? undefined : readBaseline(baselineFile);
  const results = await runBench({
    quick,
    seconds,
    repeat,
    only: names(invocation.value('only')),
    contenders: names(invocation.value('contenders')),
    tsvpnCommand: [process.execPath, process.argv[1] ?? ''],
    signal: interruptSignal(),
    progress: (line) => io.err(`${io.paintErr('dim', line)}\n`),
  });
  const { writeReport } = await import('../bench/report-files.ts');
  const out = invocation.value('out');
  if (out !== undefined) writeReport(out, results, baseline);
  if (invocation.flag('json')) {
    io.out(`${JSON.stringify(results)}\n`);
  } else {
    const { summaryLines } = await import('../bench/summary.ts');
    for (const line of summaryLines(results, baseline, io.paintOut)) io.out(`${line}\n`);
  }
  if (out !== undefined) io.err(`the report is ${out}/report.md\n`);
  return results.failures.length === 0 ? ExitCode.Ok : ExitCode.Failure;
}

function names(list: string | undefined): string[] | undefined {
  return list?.split(',').filter((name) => name !== '');
}
