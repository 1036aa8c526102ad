/** `tsvpn lab`: two sites, two gateways and a tunnel on this machine, measured and taken away again. */
import { ExitCode } from '../errors.ts';
import type { Implementation } from '../lab/report.ts';
import { numberOption, usageError } from './arguments.ts';
import type { Command, Invocation, Io } from './command.ts';
import { interruptSignal } from './interrupt.ts';

const DEFAULT_MEBIBYTES = '32';
const MEBIBYTE = 1024 * 1024;

export const lab: Command = {
  name: 'lab',
  summary: 'try it all on this machine: two sites, two gateways, a tunnel, measured',
  usage: ['lab [--peer tsvpn|openvpn] [--keep] [--json]'],
  operands: { min: 0, max: 0 },
  options: {
    peer: { type: 'string', value: 'WHAT', help: 'what runs on gateway B: tsvpn (default) or openvpn' },
    keep: { type: 'boolean', help: 'leave everything running until Ctrl-C, to look around in it' },
    json: { type: 'boolean', help: 'print one line of JSON (schema tsvpn.lab/1) instead of the picture' },
    size: { type: 'string', value: 'MIB', help: `size of the TCP transfer, each way (${DEFAULT_MEBIBYTES})` },
  },
  examples: [
    {
      line: 'sudo tsvpn lab',
      does: 'build it, ping, traceroute and measure across, show the result, remove it',
    },
    {
      line: 'sudo tsvpn lab --peer openvpn --keep',
      does: 'with stock OpenVPN on one gateway; stay until Ctrl-C',
    },
  ],
  notes:
    'Everything lives in network namespaces of its own; nothing of this machine is changed, and everything is removed\n' +
    'at the end, whatever happens. Needs root and /dev/net/tun.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const size = numberOption(invocation.value('size') ?? DEFAULT_MEBIBYTES, 'size', 1, 4096);
  const peer = implementation(invocation.value('peer') ?? 'tsvpn');
  const { runLab } = await import('../lab/lab.ts');
  const report = await runLab({
    peer,
    keep: invocation.flag('keep'),
    json: invocation.flag('json'),
    write: (line) => io.out(`${line}\n`),
    progress: (line) => io.err(`${io.paintErr('dim', line)}\n`),
    paint: io.paintOut,
    tsvpnCommand: [process.execPath, process.argv[1] ?? ''],
    signal: interruptSignal(),
    transferBytes: size * MEBIBYTE,
  });
  return report.ok ? ExitCode.Ok : ExitCode.Failure;
}

function implementation(text: string): Implementation {
  if (text === 'tsvpn' || text === 'openvpn') return text;
  throw usageError(`--peer is '${text}'`, 'give tsvpn or openvpn');
}
