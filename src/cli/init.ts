/** `tsvpn init`: writes the configs of both ends of a new tunnel, with a new key in each. */
import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { FLAVOURS, writePair, type Flavour, type PairOptions, type Site } from '../config/mirror.ts';
import { formatStaticKey, generateStaticKey, keyFingerprint } from '../crypto/static-key.ts';
import { ExitCode } from '../errors.ts';
import { numberOption, usageError } from './arguments.ts';
import type { Command, Invocation, Io } from './command.ts';
import { writeNewFile } from './genkey.ts';

const DEFAULT_TUNNEL = '10.254.0.1,10.254.0.2';
const DEFAULT_PORT = '1194';

export const init: Command = {
  name: 'init',
  summary: 'write the configs of both ends of a new tunnel, key included',
  usage: ['init --remote ADDRESS [options]'],
  operands: { min: 0, max: 0 },
  options: {
    remote: {
      type: 'string',
      value: 'ADDRESS',
      help: 'where the other gateway is reached (name or IP address)',
    },
    local: {
      type: 'string',
      value: 'ADDRESS',
      help: 'where the other gateway reaches this one; leave out behind NAT',
    },
    'remote-network': {
      type: 'string',
      value: 'NET',
      multiple: true,
      help: 'network behind the other gateway (10.1.0.0/16)',
    },
    'local-network': {
      type: 'string',
      value: 'NET',
      multiple: true,
      help: 'network behind this gateway (10.0.0.0/16)',
    },
    peer: {
      type: 'string',
      value: 'WHAT',
      help: `what the other gateway runs: ${FLAVOURS.join(', ')} (tsvpn)`,
    },
    port: { type: 'string', value: 'PORT', help: `port of both ends (${DEFAULT_PORT})` },
    proto: { type: 'string', value: 'PROTO', help: 'udp, or tcp where UDP does not get through (udp)' },
    tunnel: {
      type: 'string',
      value: 'A,B',
      help: `addresses inside the tunnel, this end first (${DEFAULT_TUNNEL})`,
    },
    name: { type: 'string', value: 'NAME', help: "this end's file name, without .conf (site-a)" },
    'peer-name': { type: 'string', value: 'NAME', help: "the other end's file name, without .conf (site-b)" },
    dir: { type: 'string', value: 'DIR', help: 'where to write the files (the current directory)' },
  },
  examples: [
    {
      line: 'tsvpn init --remote 198.51.100.2 --local 192.0.2.2 --local-network 10.0.0.0/16 --remote-network 10.1.0.0/16',
      does: 'join two sites whose gateways run tsvpn',
    },
    {
      line: 'tsvpn init --remote gw.example.net --peer openvpn-2.6',
      does: 'for a peer with OpenVPN; this end sits behind NAT',
    },
  ],
  notes:
    'Never asks questions. The files hold the key: mode 0600, and an existing file is never overwritten.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const { a, b } = sites(invocation);
  const port = numberOption(invocation.value('port') ?? DEFAULT_PORT, 'port', 1, 65535);
  const protocol = protocolOf(invocation.value('proto') ?? 'udp');
  const key = generateStaticKey();
  const fingerprint = keyFingerprint(key);
  const files = writeFiles(
    { a, b, port, protocol, keyText: formatStaticKey(key).toString('latin1') },
    invocation.value('dir') ?? '.',
  );
  key.fill(0);
  io.out(`${files.a}\n${files.b}\n`);
  io.err(nextSteps(a, b, `${protocol.toUpperCase()} port ${port}`, files, fingerprint));
  return ExitCode.Ok;
}

function sites(invocation: Invocation): { a: Site; b: Site } {
  const remote = invocation.value('remote');
  const local = invocation.value('local');
  if (remote === undefined && local === undefined) {
    throw usageError(
      'tsvpn init needs to know where the other gateway is',
      'give --remote ADDRESS; see `tsvpn init --help`',
    );
  }
  const [tunnelA, tunnelB, ...more] = (invocation.value('tunnel') ?? DEFAULT_TUNNEL).split(',');
  if (tunnelB === undefined || more.length > 0) {
    throw usageError('--tunnel needs two addresses', `write --tunnel ${DEFAULT_TUNNEL}`);
  }
  return {
    a: {
      name: invocation.value('name') ?? 'site-a',
      flavour: 'tsvpn',
      address: local,
      tunnelAddress: tunnelA,
      networks: invocation.values('local-network'),
    },
    b: {
      name: invocation.value('peer-name') ?? 'site-b',
      flavour: flavour(invocation.value('peer') ?? 'tsvpn'),
      address: remote,
      tunnelAddress: tunnelB,
      networks: invocation.values('remote-network'),
    },
  };
}

function flavour(text: string): Flavour {
  const found = FLAVOURS.find((name) => name === text);
  if (found !== undefined) return found;
  throw usageError(`--peer is '${text}'`, `give one of ${FLAVOURS.join(', ')}`);
}

function protocolOf(text: string): PairOptions['protocol'] {
  if (text === 'udp' || text === 'tcp') return text;
  throw usageError(`--proto is '${text}'`, 'give udp or tcp');
}

/** Writes both files or none. */
function writeFiles(options: PairOptions, dir: string): { a: string; b: string } {
  const files = { a: join(dir, `${options.a.name}.conf`), b: join(dir, `${options.b.name}.conf`) };
  const pair = writePair(options);
  writeNewFile(files.a, Buffer.from(pair.a));
  try {
    writeNewFile(files.b, Buffer.from(pair.b));
  } catch (error) {
    unlinkSync(files.a);
    throw error;
  }
  return files;
}

function nextSteps(
  a: Site,
  b: Site,
  port: string,
  files: { a: string; b: string },
  fingerprint: string,
): string {
  const startPeer =
    b.flavour === 'tsvpn' ? `sudo tsvpn up ${b.name}.conf` : `sudo openvpn --config ${b.name}.conf`;
  const networks = [...a.networks, ...b.networks];
  const forwarding = networks.some((network) => network.includes(':'))
    ? 'sudo sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1'
    : 'sudo sysctl -w net.ipv4.ip_forward=1';
  const steps = [
    `copy ${files.b} to the other gateway:\n     scp -p ${files.b} ${b.address ?? 'OTHER-GATEWAY'}:`,
    `let ${port} through every firewall between the gateways`,
    ...(networks.length > 0 ? [`on both gateways, let the kernel forward packets:\n     ${forwarding}`] : []),
    `here:\n     sudo tsvpn up ${files.a}`,
    `on the other gateway:\n     ${startPeer}`,
    `here, in another terminal:\n     sudo tsvpn status ${a.name}\n     ping ${b.tunnelAddress}`,
  ];
  return [
    `Two configs with one new key (fingerprint ${fingerprint}), mode 0600. Next:`,
    ...steps.map((step, index) => `  ${index + 1}. ${step}`),
    '',
  ].join('\n');
}
