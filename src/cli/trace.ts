/** `tsvpn trace`: what would happen to a packet, stage by stage, and which line of the config decides. */
import { request } from '../control/client.ts';
import { renderTrace, TRACE_PROTOCOLS, type TraceRequest } from '../control/trace.ts';
import { ExitCode } from '../errors.ts';
import { numberOption, usageError } from './arguments.ts';
import type { Command, Invocation, Io } from './command.ts';
import { TUNNEL_OPTION, whichTunnel } from './which-tunnel.ts';

/** Where hosts begin to look for a port of their own. */
const SOURCE_PORT = 40_000;
/** What each protocol is mostly used for; of an echo request the sequence number. */
const DESTINATION_PORT = { tcp: 80, udp: 53, icmp: 1 } as const;
const MAX_PORT = 65_535;

export const trace: Command = {
  name: 'trace',
  summary: 'follow an imagined packet through a running tunnel',
  usage: ['trace SRC DST [--proto tcp|udp|icmp] [--sport N] [--dport N] [--from tun|PEER] [options]'],
  operands: { min: 2, max: 2 },
  options: {
    proto: { type: 'string', value: 'PROTO', help: 'tcp, udp or icmp (icmp)' },
    sport: { type: 'string', value: 'N', help: `source port (${SOURCE_PORT})` },
    dport: { type: 'string', value: 'N', help: 'destination port (tcp 80, udp 53)' },
    from: {
      type: 'string',
      value: 'tun|PEER',
      help: 'where it comes from: this host and its LAN (tun), or a peer',
    },
    size: { type: 'string', value: 'BYTES', help: 'of the whole packet (the headers alone)' },
    df: { type: 'boolean', help: 'the packet forbids fragmentation' },
    json: { type: 'boolean', help: 'print one JSON object (schema tsvpn.trace/1)' },
    tunnel: TUNNEL_OPTION,
  },
  examples: [
    { line: 'sudo tsvpn trace 172.16.0.3 10.1.0.5', does: 'a ping from the LAN to a host behind a peer' },
    {
      line: 'sudo tsvpn trace 10.1.0.5 10.2.0.9 --from site-b --proto tcp --dport 80',
      does: 'a connection from one peer to another',
    },
    { line: 'sudo tsvpn trace 172.16.0.3 10.1.0.5 --size 1500 --df', does: 'does a full-sized packet fit?' },
  ],
  notes: 'Nothing is sent, counted or remembered. The exit code is 0 also when the packet would be dropped.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const packet = traceRequest(invocation);
  const { dir, name } = await whichTunnel(invocation.value('tunnel'), '--tunnel NAME', io);
  const report = await request(dir, name, 'trace', packet);
  io.out(invocation.flag('json') ? `${JSON.stringify(report)}\n` : `${renderTrace(report, io.paintOut)}\n`);
  return ExitCode.Ok;
}

function traceRequest(invocation: Invocation): TraceRequest {
  const [source, destination] = invocation.operands;
  const word = invocation.value('proto') ?? 'icmp';
  const protocol = TRACE_PROTOCOLS.find((known) => known === word);
  if (protocol === undefined)
    throw usageError(`--proto is '${word}'`, `give one of ${TRACE_PROTOCOLS.join(', ')}`);
  const number = (name: string, fallback: number) => {
    const text = invocation.value(name);
    return text === undefined ? fallback : numberOption(text, name, 0, MAX_PORT);
  };
  const from = invocation.value('from');
  const size = number('size', 0);
  return {
    source,
    destination,
    protocol,
    sourcePort: number('sport', SOURCE_PORT),
    destinationPort: number('dport', DESTINATION_PORT[protocol]),
    ...(from === undefined || from === 'tun' ? {} : { peer: from }),
    ...(size === 0 ? {} : { size }),
    dontFragment: invocation.flag('df'),
  };
}
