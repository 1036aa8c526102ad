/**
 * The NAT attachment as one process, for tests that kill it. The order comes as JSON in the first argument:
 * `{journal, lines, ports?, table?, tun, persistent?, dieAt?, last}`. At request `dieAt` of those that change something by
 * rtnetlink the process kills itself as kill -9 would: request 2i is not made any more, request 2i+1 just has been.
 * At last it undoes (`undo`), or writes `ready` and checks every 200 ms until SIGTERM (`wait`), reporting what it did.
 */
import { ioctl, open } from '../../dist/ffi/libc.js';
import { KernelSetup } from '../../dist/kernel/apply.js';
import { NatAttachment } from '../../dist/kernel/nat/attachment.js';
import { parseAddress } from '../../dist/packet/address.js';
import { parsePrefix } from '../../dist/packet/prefix.js';
import { dieAtStep } from './kill-steps.mjs';

const O_RDWR = 2;
const TUNSETIFF = 0x400454ca;
const IFF_TUN_NO_PI = 0x1001;

const { journal, lines, ports, table, tun, peerPort, dieAt, last } = JSON.parse(process.argv[2]);
const where = { file: 'gateway.conf', line: 7, column: 1 };

openTun(tun);
const steps = dieAtStep(dieAt);

const warnings = [];
const log = { info: () => undefined, warn: (text) => warnings.push(text) };
const setup = new KernelSetup({ journalPath: journal, device: tun, log });
const nat = new NatAttachment({ device: tun, setup, log });
const config = {
  peers:
    peerPort === undefined
      ? []
      : [{ name: 'site', transport: { protocol: 'udp', remotes: [], bind: true, localPort: peerPort } }],
  nat: {
    lines: lines.map(natLine),
    ports: ports ?? { first: 61000, last: 65534 },
    table: table ?? 51820,
    ruleProtocol: 213,
    unmatched: 'reinject',
  },
};

try {
  setup.apply([
    { kind: 'address', device: tun, family: 4, local: '10.8.0.1', prefixLength: 24 },
    { kind: 'address', device: tun, family: 6, local: 'fd08::1', prefixLength: 64 },
    { kind: 'up', device: tun },
  ]);
  await nat.attach(config);
} catch (error) {
  const errors = (error.errors ?? [error]).map(({ code, what, why, fix, message }) => ({
    code,
    what,
    why,
    fix,
    message,
  }));
  console.log(JSON.stringify({ errors, undo: setup.undo() }));
  process.exit(1);
}
if (last === 'undo') console.log(JSON.stringify({ steps: steps(), undo: setup.undo(), warnings }));
else {
  process.on('SIGTERM', () => {
    console.log(`undo ${JSON.stringify(setup.undo())}`);
    process.exit(0);
  });
  console.log(`ready after ${steps()} steps ${JSON.stringify(warnings)}`);
  setInterval(() => {
    const { made, addressesChanged, problem, contested, plan } = nat.check();
    const addresses = plan.addresses.map((address) => address?.join('.'));
    if (made.length > 0 || addressesChanged || problem !== undefined) {
      console.log(`check ${JSON.stringify({ made, addressesChanged, problem, contested, addresses })}`);
    }
  }, 200);
}

/** `masquerade IF`, `alias IF ADDRESS`, `forward IF tcp PORT TO [FROM]`, `tunnel SOURCE` as plain words. */
function natLine(text) {
  const [kind, ...words] = text.split(' ');
  const match = {
    source: undefined,
    destination: undefined,
    protocol: undefined,
    sourcePorts: undefined,
    destinationPorts: undefined,
  };
  const line = { text, where, match };
  switch (kind) {
    case 'masquerade':
      return { ...line, kind: 'snat', target: { kind: 'masquerade', egress: words[0] } };
    case 'alias':
      return {
        ...line,
        kind: 'snat',
        target: { kind: 'alias', egress: words[0], address: parseAddress(words[1]) },
      };
    case 'tunnel':
      return {
        ...line,
        kind: 'snat',
        match: { ...match, source: parsePrefix(words[0]) },
        target: { kind: 'tunnel' },
      };
    case 'forward': {
      const [name, transport, port, to] = words;
      const destinationPorts = { first: Number(port), last: Number(port) };
      return {
        ...line,
        kind: 'dnat',
        match: { ...match, protocol: transport === 'tcp' ? 6 : 17, destinationPorts },
        from: { kind: 'interface', name },
        to: parseAddress(to),
        toPort: undefined,
        snat: false,
      };
    }
  }
  throw new Error(`unknown line: ${text}`);
}

function openTun(name) {
  const request = new Uint8Array(40);
  request.set(new TextEncoder().encode(name));
  new DataView(request.buffer).setUint16(16, IFF_TUN_NO_PI, true);
  const fd = open('/dev/net/tun', O_RDWR, 0);
  if (ioctl(fd, TUNSETIFF, request) !== 0) throw new Error(`cannot open ${name}`);
}
