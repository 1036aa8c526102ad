import { rest, word } from '../arguments.ts';
import { set } from '../draft.ts';
import type { Draft } from '../draft.ts';
import { refuse } from '../findings.ts';
import type { Line } from '../lexer.ts';
import type { PeerRoute, RefusalRoute } from '../model.ts';
import { formatAddress } from '../../packet/address.ts';
import { address, nameProblem, network, networks } from '../network-words.ts';
import { flag, numberWord, peek, readClauses, wordsOf } from '../words.ts';
import { supported } from './spec.ts';
import type { DirectiveSpec, Section } from './spec.ts';

const metric = numberWord(0, 0xffffffff);

function addBlock(draft: Draft, line: Line): void {
  if (line.block !== undefined) draft.blocks.push(line);
  else
    refuse(draft.findings, line.where, 'CONFIG_BLOCK', 'peer is a block', {
      fix: '<peer>\nname NAME\n</peer>',
    });
}

const PEER_ROUTE_FORM = 'peer-route NETWORK [MASK] [metric N] [no-kernel]';

function addPeerRoute(draft: Draft, line: Line): void {
  const words = wordsOf(line, draft.findings, PEER_ROUTE_FORM);
  const prefix = network(words);
  const clauses = prefix && readClauses(words, { metric, 'no-kernel': flag });
  if (prefix === undefined || clauses === undefined) return;
  const route: PeerRoute = {
    prefix,
    metric: clauses.metric ?? 0,
    kernel: clauses['no-kernel'] === undefined,
    directive: line.name,
    where: line.where,
  };
  draft.peerRoutes.push(route);
}

function addPeerAddresses(draft: Draft, line: Line): void {
  const words = wordsOf(line, draft.findings, 'peer-address ADDRESS...');
  while (peek(words) !== undefined) {
    const bytes = address(words);
    if (bytes === undefined) return;
    draft.peerAddresses.push({ value: formatAddress(bytes), where: line.where });
  }
}

function addAllowedSources(draft: Draft, line: Line): void {
  const words = wordsOf(line, draft.findings, 'allowed-source any|NETWORK...');
  const [only, ...more] = line.words;
  const value = only.text === 'any' && more.length === 0 ? 'any' : networks(words);
  if (value !== undefined) draft.allowedSources.push({ value, where: line.where });
}

function refusal(kind: RefusalRoute['kind'], help: string): DirectiveSpec {
  const form = `${kind} NETWORK [MASK] [metric N]`;
  return supported(
    kind,
    [rest('NETWORK')],
    help,
    (draft, _, line) => {
      const words = wordsOf(line, draft.findings, form);
      const prefix = network(words);
      const clauses = prefix && readClauses(words, { metric });
      if (prefix === undefined || clauses === undefined) return;
      draft.refusals.push({ kind, prefix, metric: clauses.metric ?? 0, where: line.where });
    },
    { shared: true, forms: [form] },
  );
}

export const ROUTING: Section = {
  title: 'Several peers, and the routes between them',
  intro: `\`tsvpn up a.conf b.conf\` joins the peers of several files into one gateway with one device; so do \`<peer>\` blocks in one file:

\`\`\`
dev tun
topology subnet
ifconfig 10.8.0.1 255.255.255.0
cipher AES-256-CBC
keepalive 10 60
ignore-unknown-option peer

<peer>
name site-b
secret site-b.key 0
lport 1195
peer-address 10.8.0.2
peer-route 10.2.0.0/16
</peer>
\`\`\`

Settings outside of the blocks are defaults for every block, wherever they stand. Lines that belong to one peer (\`secret\`,
\`remote\`, \`ifconfig LOCAL REMOTE\`, \`peer-route\`, \`client-nat\` and so on) form a peer of their own outside of the blocks, the
first one, when there is a \`secret\` among them: it is the one OpenVPN sees. Lines of the device, logs, NAT and of the whole
process stay outside.

OpenVPN does not know the directives of this section and the next. Written with \`setenv opt\` in front, or after an
\`ignore-unknown-option\` that names them, they only make it warn.`,
  directives: [
    supported(
      'peer',
      [],
      'A block <peer>: the lines of one peer. Settings outside of all blocks are defaults for every peer; with a `secret` there, the lines ' +
        'outside are a peer as well.',
      (draft, _, line) => addBlock(draft, line),
      { block: true, shared: true, forms: ['<peer>', '  name NAME', '  ...', '</peer>'] },
    ),
    supported(
      'name',
      [word('NAME')],
      'Name of the peer in status, logs and NAT rules. Needed inside a block.',
      (draft, [name], line) => {
        const problem = nameProblem(name);
        if (problem === undefined) set(draft, 'name', name, line);
        else refuse(draft.findings, line.words[0].where, 'CONFIG_ARGUMENT', `name: ${problem}`);
      },
      { preset: 'the name of the file without .conf' },
    ),
    supported(
      'peer-address',
      [rest('ADDRESS')],
      "The peer's addresses inside the tunnel, when `ifconfig` does not tell (`topology subnet`).",
      (draft, _, line) => addPeerAddresses(draft, line),
      { preset: 'the second address of `ifconfig LOCAL REMOTE`' },
    ),
    supported(
      'peer-route',
      [rest('NETWORK')],
      "A network behind the peer: an entry of tsvpn's table, and a route of the kernel to the device unless `no-kernel`. " +
        'The same network at another peer with a higher metric is a backup.',
      (draft, _, line) => addPeerRoute(draft, line),
      { preset: 'metric 0', forms: [PEER_ROUTE_FORM] },
    ),
    supported(
      'allowed-source',
      [rest('any|NETWORK')],
      'Source addresses the peer may use besides those routed to it.',
      (draft, _, line) => addAllowedSources(draft, line),
      { preset: '`any` for an only peer, nothing more for several' },
    ),
    supported(
      'client-to-client',
      [],
      'Forward packets between peers inside the process. OpenVPN refuses the line without TLS; `peer-to-peer` is the same, ' +
        'for files it should load.',
      (draft, _, line) => set(draft, 'clientToClient', true, line),
      {
        preset: 'off: the kernel gets what peers send each other',
        aliases: ['peer-to-peer'],
        shared: true,
        difference: 'OpenVPN refuses the line without TLS.',
      },
    ),
    supported(
      'route-fallthrough',
      [],
      'When every peer of a network is down, let a route to a larger network take over.',
      (draft, _, line) => set(draft, 'routeFallthrough', true, line),
      { preset: 'off: the network is unreachable then', shared: true },
    ),
    refusal('blackhole', 'Drop packets to a network silently.'),
    refusal('unreachable', 'Drop packets to a network and answer `host unreachable`.'),
    refusal('prohibit', 'Drop packets to a network and answer `administratively prohibited`.'),
    supported(
      'bridge',
      [word('BRIDGE')],
      'Make the tap device a port of this bridge of the kernel, and set it up; stock needs an `up` script for that. The bridge has to be there.',
      (draft, [bridge], line) => set(draft, 'bridge', bridge, line),
      { shared: true },
    ),
  ],
};
