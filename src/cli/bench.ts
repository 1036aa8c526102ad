/** `tsvpn bench`: measures tsvpn against stock OpenVPN and others on this machine. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Progress } from '../bench/round-robin.ts';
import { ExitCode } from '../errors.ts';
import { numberOption } from './arguments.ts';
import type { Command, Invocation, Io } from './command.ts';

const DEFAULT_SECONDS = '5';
const DEFAULT_REPEAT = '3';

export const bench: Command = {
  name: 'bench',
  summary: 'measure the speed of tsvpn, stock OpenVPN and others on this machine',
  usage: ['bench [--only NAMES] [--contenders NAMES] [--seconds N] [--repeat N] [--out DIR] [--json]'],
  operands: { min: 0, max: 0 },
  options: {
    only: { type: 'string', value: 'NAMES', help: 'measure only these, separated by commas' },
    contenders: { type: 'string', value: 'NAMES', help: 'measure only these tunnels, separated by commas' },
    seconds: { type: 'string', value: 'N', help: `length of each TCP transfer (${DEFAULT_SECONDS})` },
    repeat: { type: 'string', value: 'N', help: `times each measurement is repeated (${DEFAULT_REPEAT})` },
    out: { type: 'string', value: 'DIR', help: 'write results.json there' },
    json: { type: 'boolean', help: 'print the results as JSON (schema tsvpn.bench/1) instead of tables' },
  },
  examples: [
    {
      line: 'sudo tsvpn bench --only tcp1 --contenders stock,tsvpn',
      does: 'one TCP stream, tsvpn against stock OpenVPN',
    },
  ],
  notes:
    'Everything runs in network namespaces of its own and is removed at the end, whatever happens. Needs root,\n' +
    '/dev/net/tun and iperf3; contenders that are not installed are listed as missing.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const number = (name: string, fallback: string, max: number) =>
    numberOption(invocation.value(name) ?? fallback, name, 1, max);
  const seconds = number('seconds', DEFAULT_SECONDS, 600);
  const repeat = number('repeat', DEFAULT_REPEAT, 100);
  const { runBench } = await import('../bench/bench.ts');
  const { summaryLines } = await import('../bench/summary.ts');
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupt.abort());
  const results = await runBench({
    only: names(invocation.value('only')),
    contenders: names(invocation.value('contenders')),
    seconds,
    repeat,
    tsvpnCommand: [process.execPath, process.argv[1] ?? ''],
    signal: interrupt.signal,
    progress: progressOn(io),
  });
  const out = invocation.value('out');
  if (out !== undefined) {
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, 'results.json'), `${JSON.stringify(results, undefined, 1)}\n`);
  }
  io.out(invocation.flag('json') ? `${JSON.stringify(results)}\n` : `${summaryLines(results).join('\n')}\n`);
  return results.failures.length === 0 ? ExitCode.Ok : ExitCode.Failure;
}

function names(list: string | undefined): string[] | undefined {
  return list?.split(',').filter((name) => name !== '');
}

function progressOn(io: Io): Progress {
  const say = (line: string) => io.err(`${io.paintErr('dim', line)}\n`);
  return {
    say,
    step: ({ measurement, contender, repetition, values }) => {
      const figures = Object.entries(values).map(([name, value]) => `${name} ${value.toPrecision(4)}`);
      say(`${measurement} #${repetition + 1} ${contender}: ${figures.join('  ')}`);
    },
  };
}
