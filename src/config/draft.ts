/**
 * A config while it is being read: the last value of each directive with its position, before defaults and
 * cross-checks (build.ts) make a PeerConfig of it.
 */
import type { SourcePosition } from '../errors.ts';
import type { DnsServer } from './dns.ts';
import type { Findings } from './findings.ts';
import type { Line, Word } from './lexer.ts';
import type { TransportProtocol } from '../protocol/constants.ts';
import type { CompressionFraming } from '../protocol/framing.ts';
import type { MssFix } from '../protocol/mtu.ts';
import type { NatTimeouts, NetmapRule, PortRange } from '../nat/rule.ts';
import type { DeviceType } from '../packet/ethernet.ts';
import type { Prefix } from '../packet/prefix.ts';
import type {
  AddressFamily,
  ManagementPlace,
  NatLine,
  PeerConfig,
  PeerRoute,
  RefusalRoute,
} from './model.ts';

/** A value and the directive it came from. */
export interface Setting<T> {
  readonly value: T;
  readonly where: SourcePosition;
}

export type SecretSource =
  | { readonly kind: 'file'; readonly path: string }
  /** `secret [inline]`: the block is still to come. */
  | { readonly kind: 'announced' }
  | { readonly kind: 'inline'; readonly text: string; readonly firstLine: number };

export interface DraftRemote {
  readonly host: string;
  readonly port: number | undefined;
  readonly proto: DraftProtocol | undefined;
}

/** A `<connection>` block: its remote, and what else it says. */
export interface DraftConnection extends DraftRemote {
  readonly own: SomeSettings;
}

/** `tcp4-client`: a protocol and the addresses it is for. */
export interface DraftProtocol {
  readonly protocol: TransportProtocol;
  readonly family: AddressFamily;
}

export interface DraftRoute {
  readonly network: string;
  readonly netmask: string | undefined;
  readonly gateway: string | undefined;
  readonly metric: number | undefined;
}

export interface DraftRoute6 {
  readonly prefix: string;
  readonly gateway: string | undefined;
  readonly metric: number | undefined;
}

export const REDIRECT_FLAGS = [
  'local',
  'autolocal',
  'def1',
  'bypass-dhcp',
  'bypass-dns',
  'block-local',
  'ipv6',
  '!ipv4',
] as const;
type RedirectFlag = (typeof REDIRECT_FLAGS)[number];

/** A line of `redirect-gateway`, or of `redirect-private`. */
export interface DraftRedirect {
  readonly name: 'redirect-gateway' | 'redirect-private';
  readonly flags: readonly RedirectFlag[];
}

/** A `nat` line as it was read; whether there is a peer of that name is known when all files are read. */
export interface DraftNatLine {
  readonly line: NatLine;
  readonly peer: Word | undefined;
}

/** A `nat netmap` line. */
export interface DraftNetmap {
  readonly peer: Word;
  readonly rules: readonly NetmapRule[];
}

/** A script and its first arguments, cut into words; the program as written. */
export interface DraftCommand {
  readonly text: string;
  readonly words: readonly string[];
}

/** Directives that take a value and of which the last line wins. */
export interface Settings {
  secret: SecretSource;
  keyDirection: 0 | 1;
  cipher: string;
  auth: string;
  providers: readonly string[];
  replayWindow: { readonly window: number; readonly timeSec: number };
  noReplay: true;
  muteReplayWarnings: true;
  replayPersist: string;

  proto: DraftProtocol;
  /** `proto-force`. */
  protoForce: readonly TransportProtocol[];
  localPort: number;
  remotePort: number;
  /** `lport`, as opposed to `port`: implies bind. */
  lport: number;
  localHost: string;
  bind: { readonly ipv6Only: boolean };
  nobind: true;
  float: true;
  resolveRetrySec: number;
  connectRetrySec: number;
  connectRetryMaxSec: number;
  connectRetryMax: number;
  connectTimeoutSec: number;
  remoteRandom: true;
  remoteRandomHostname: true;
  preresolve: true;
  persistRemoteIp: true;
  mark: number;
  bindDevice: string;
  sendBufferBytes: number;
  receiveBufferBytes: number;
  mtuDiscovery: 'yes' | 'maybe' | 'no';
  allowRecursiveRouting: true;
  multihome: true;
  passTos: true;
  shaperBytesPerSec: number;

  keepalive: { readonly intervalSec: number; readonly timeoutSec: number };
  ping: number;
  pingTimeout: { readonly sec: number; readonly action: 'restart' | 'exit' };
  pingTimerNeedsRemote: true;
  exitNotify: number;
  inactive: { readonly seconds: number; readonly bytes: number };
  sessionTimeoutSec: number;

  tunMtu: { readonly mtu: number; readonly occMtu: number | undefined };
  tunMtuExtra: number;
  linkMtu: number;
  mssfix: MssFix;
  fragment: NonNullable<PeerConfig['mtu']['fragment']>;
  /** `compresses`: the directive also asks for compression, not only for its framing. */
  framing: { readonly kind: CompressionFraming; readonly compresses: boolean };
  allowCompression: 'no' | 'asym' | 'yes';
  disableOcc: true;
  mtuProbe: 'off' | 'start' | { readonly everySec: number };

  device: string;
  deviceType: DeviceType | 'null';
  deviceNode: string;
  linkAddress: string;
  bridge: string;
  ifconfig: { readonly local: string; readonly second: string };
  ifconfig6: { readonly local: string; readonly remote: string };
  topology: 'net30' | 'p2p' | 'subnet';
  ifconfigNoExec: true;
  ifconfigNoWarn: true;
  txQueueLength: number;
  routeGateway: string;
  routeGateway6: string;
  routeDelay: number;
  persistTun: true;
  routeMetric: number;
  routeNoExec: true;

  name: string;
  clientToClient: true;
  routeFallthrough: true;
  natPorts: PortRange;
  natMaxSessions: number;
  natPerHost: number;
  natTcpMapping: 'edm' | 'eim';
  natUdpFiltering: 'adf' | 'eif';
  natUnmatched: 'reinject' | 'drop';
  natTable: number;
  natRuleProtocol: number;

  verb: number;
  mute: number;
  suppressTimestamps: true;
  status: { readonly path: string; readonly intervalSec: number };
  /** Name for syslog. */
  daemon: string;
  syslog: string;
  logFile: { readonly path: string; readonly append: boolean };
  machineReadable: true;
  nice: number;
  user: string;
  group: string;
  remapUsr1: 'SIGHUP' | 'SIGTERM';
  pidFile: string;

  management: {
    readonly place: ManagementPlace | { readonly kind: 'tunnel'; readonly port: number };
    readonly passwordFile: string | undefined;
  };
  managementClient: true;
  managementClientUser: string;
  managementClientGroup: string;
  managementHold: true;
  managementLogCache: number;
  managementQueryRemote: true;
  managementQueryProxy: true;
  managementQueryPasswords: true;
  managementSignal: true;
  managementForgetDisconnect: true;
  managementUpDown: true;

  up: DraftCommand;
  down: DraftCommand;
  routeUp: DraftCommand;
  routePreDown: DraftCommand;
  ipchange: DraftCommand;
  upDelay: true;
  upRestart: true;
  downPre: true;
  scriptSecurity: number;
}

export type SomeSettings = { [K in keyof Settings]?: Setting<Settings[K]> };

export interface Draft {
  readonly findings: Findings;
  readonly settings: SomeSettings;
  /** Settings that a `<peer>` block takes over from the lines outside of it. */
  readonly inherited: Readonly<SomeSettings>;
  readonly remotes: Setting<DraftRemote>[];
  /** Entries of `<connection>` blocks; when there are any, stock ignores every plain `remote`. */
  readonly connections: Setting<DraftConnection>[];
  /** What lines after a block say about the way to a remote. */
  readonly forNextBlocks: SomeSettings;
  /** Those behind the last block. */
  readonly linesAfterBlock: Line[];
  readonly routes: Setting<DraftRoute>[];
  readonly routes6: Setting<DraftRoute6>[];
  readonly redirects: Setting<DraftRedirect>[];
  readonly peerRoutes: PeerRoute[];
  /** `peer-address`. */
  readonly peerAddresses: Setting<string>[];
  readonly allowedSources: Setting<'any' | readonly Prefix[]>[];
  readonly clientNat: NetmapRule[];
  readonly refusals: RefusalRoute[];
  readonly natLines: DraftNatLine[];
  readonly netmaps: DraftNetmap[];
  readonly natTimeouts: { -readonly [K in keyof NatTimeouts]?: Setting<number> };
  /** `setenv` and `setenv-safe`: names as scripts see them. */
  readonly environment: Setting<readonly [name: string, value: string]>[];
  /** `dhcp-option` lines, without the name. */
  readonly dhcpOptions: string[];
  readonly dnsSearchDomains: string[];
  /** By priority. */
  readonly dnsServers: DnsServer[];
  /** The last `dns server` line. */
  dnsWhere: SourcePosition | undefined;
  /** `echo` and `parameter`, the words joined. */
  readonly echoes: string[];
  /** `<peer>` blocks, which are read after all other lines. */
  readonly blocks: Line[];
  /** The last line of each directive that is supported. */
  readonly lines: Record<string, SourcePosition>;
  /** Names of all directives seen, also of lines with a fault, so that no check calls them missing. */
  readonly mentioned: Set<string>;
  /** Of TLS mode: no point in asking for `secret` and `cipher` when there are any. */
  readonly tlsLines: Line[];
  /** Directory that relative paths start from; `cd` changes it. */
  directory: string;
  /** There was a `cd`. */
  changesDirectory: boolean;
}

export function emptyDraft(findings: Findings, directory: string, inherited: Draft['inherited'] = {}): Draft {
  return {
    findings,
    settings: { ...inherited },
    inherited,
    remotes: [],
    connections: [],
    forNextBlocks: {},
    linesAfterBlock: [],
    routes: [],
    routes6: [],
    redirects: [],
    peerRoutes: [],
    peerAddresses: [],
    allowedSources: [],
    clientNat: [],
    refusals: [],
    natLines: [],
    netmaps: [],
    natTimeouts: {},
    environment: [],
    dhcpOptions: [],
    dnsSearchDomains: [],
    dnsServers: [],
    dnsWhere: undefined,
    echoes: [],
    blocks: [],
    lines: {},
    mentioned: new Set(),
    tlsLines: [],
    directory,
    changesDirectory: false,
  };
}

/** Stores a directive's value; a later line replaces an earlier one, as in stock. */
export function set<K extends keyof Settings>(draft: Draft, key: K, value: Settings[K], line: Line): void {
  const setting: Setting<Settings[K]> = { value, where: line.where };
  (draft.settings as Record<K, Setting<Settings[K]>>)[key] = setting;
}
