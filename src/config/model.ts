/**
 * The meaning of one config file, after parsing, defaults and cross-checks: plain data, no syntax left.
 * Units are in the names (`Sec`, `Bytes`); addresses are kept as text, parsed values stand beside them.
 */
import type { CipherSpec, DigestSpec } from '../crypto/algorithms.ts';
import type { KeyDirection } from '../crypto/static-key.ts';
import type { DirectiveLines, SourcePosition } from '../errors.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import type { DnsSettings } from './dns.ts';
import type { NatTimeouts, NetmapRule, PortRange, RuleMatch } from '../nat/rule.ts';
import type { DeviceType } from '../packet/ethernet.ts';
import type { Prefix } from '../packet/prefix.ts';
import type { TransportProtocol } from '../protocol/constants.ts';
import type { CompressionFraming } from '../protocol/framing.ts';
import type { MssFix } from '../protocol/mtu.ts';

export type AddressFamily = 'any' | 'ipv4' | 'ipv6';

export interface Remote {
  readonly host: string;
  readonly port: number;
  readonly protocol: TransportProtocol;
  readonly family: AddressFamily;
  /** Of its `<connection>` block; a `remote` line has those of the transport. */
  readonly connection?: ConnectionSettings;
  readonly where: SourcePosition;
}

/** `route NET MASK GATEWAY METRIC`; the gateway is resolved already (`route-gateway`, p2p remote). */
export interface RouteConfig {
  readonly family: 4 | 6;
  readonly network: string;
  readonly prefixLength: number;
  /** Next hop address, or undefined for a device route. */
  readonly gateway: string | undefined;
  /** Gateway of an IPv6 route as scripts are told it; the kernel needs one for a tap device only. */
  readonly namedGateway?: string;
  readonly metric: number | undefined;
  readonly where: SourcePosition;
}

/** A `route` line that names something only the running host knows: a host name, `net_gateway`, `remote_host`. */
export interface LateRoute {
  /** The peer whose line it is; undefined outside of all peers. */
  readonly peer: string | undefined;
  readonly network: string;
  readonly prefixLength: number;
  /** The VPN gateway's address when the line leaves it open. */
  readonly gateway: string;
  /** The line names no gateway, or `vpn_gateway`. */
  readonly intoTunnel: boolean;
  readonly metric: number | undefined;
  readonly where: SourcePosition;
}

/** `redirect-gateway` and `redirect-private`. */
export interface RedirectConfig {
  /** `private` keeps the default route and does the rest. */
  readonly ipv4: 'gateway' | 'private' | 'off';
  readonly ipv6: boolean;
  /** Two halves in front of the default route, which stays. */
  readonly def1: boolean;
  /** The remote needs no route of its own. */
  readonly local: boolean;
  /** Send the network of the default gateway into the tunnel, too. */
  readonly blockLocal: boolean;
  /** Next hop of the redirected routes: an address of the peer, or undefined for the device alone. */
  readonly gateway: string | undefined;
  /** The same for IPv6, where a tap device needs one and a tun device none. */
  readonly gateway6: string | undefined;
  readonly where: SourcePosition;
}

/** Inner addresses of the device. */
export type InterfaceAddress =
  | { readonly kind: 'p2p'; readonly local: string; readonly remote: string }
  | {
      readonly kind: 'subnet';
      readonly local: string;
      readonly prefixLength: number;
      readonly netmask: string;
    };

/** A prefix that lies behind a peer: `peer-route`, `route` of a point-to-point tunnel, the peer's own address. */
export interface PeerRoute {
  readonly prefix: Prefix;
  /** Lower wins; the same prefix with a higher metric at another peer is its backup. */
  readonly metric: number;
  /** False for `no-kernel`: the prefix is in the table, and the kernel's routes are somebody else's business. */
  readonly kernel: boolean;
  readonly directive: string;
  readonly where: SourcePosition;
}

/** A route that leads to nobody. */
export interface RefusalRoute {
  readonly kind: 'blackhole' | 'unreachable' | 'prohibit';
  readonly prefix: Prefix;
  readonly metric: number;
  readonly where: SourcePosition;
}

/** Inner sources accepted from a peer besides those routed to it: more prefixes, or any at all. */
export type AllowedSource =
  'any' | { readonly prefixes: readonly Prefix[]; readonly where: SourcePosition | undefined };

/**
 * Everything one process runs: a device, its peers, one routing table. A stock config file is a gateway with one peer;
 * several files, or `<peer>` blocks in one, join more.
 */
export interface GatewayConfig {
  readonly scripts: ScriptsConfig;
  readonly process: ProcessConfig;
  readonly management: ManagementConfig | undefined;
  /** The config files as given, in order. */
  readonly files: readonly string[];
  /** Name for status, down and log lines: the first file's base name without .conf or .ovpn. */
  readonly name: string;
  readonly peers: readonly PeerConfig[];
  /** MTU of the device, bytes: the largest of the peers'. */
  readonly tunMtu: number;
  readonly device: {
    readonly type: DeviceType;
    readonly name: string | undefined;
    readonly node: string;
    readonly txQueueLength: number | undefined;
    readonly linkAddress: string | undefined;
    readonly bridge: string | undefined;
    /** All addresses, without duplicates; the first of a family is the source of ICMP errors we send. */
    readonly addresses: readonly InterfaceAddress[];
    readonly addresses6: readonly InterfaceAddress6[];
    readonly noExec: boolean;
  };
  /** Kernel routes besides those that follow from peer routes: `route` lines with another gateway. */
  readonly routes: readonly RouteConfig[];
  readonly routeNoExec: boolean;
  readonly lateRoutes: readonly LateRoute[];
  readonly redirect: RedirectConfig | undefined;
  /** `route-delay`: seconds after a peer has been heard until the routes are made; undefined makes them at the start. */
  readonly routeDelaySec: number | undefined;
  /** `persist-tun`: routes stay as they are during a restart. */
  readonly persistTun: boolean;
  /** `route-gateway`, or the peer's address inside the tunnel. */
  readonly vpnGateway: string | undefined;
  readonly refusals: readonly RefusalRoute[];
  /** `client-to-client`: packets between peers are forwarded in this process. */
  readonly clientToClient: boolean;
  /** `route-fallthrough`: when every peer of a prefix is down, a shorter prefix may take over. */
  readonly routeFallthrough: boolean;
  readonly nat: NatConfig;
  readonly log: PeerConfig['log'];
  readonly statusFile: PeerConfig['statusFile'];
  readonly pidFile: string | undefined;
  /** Of several files the first counts, and what stands outside of `<peer>` blocks. */
  readonly lines: DirectiveLines;
  /** Accepted, but worth saying: warnings at start and by `check`, remarks by `check` only. */
  readonly warnings: readonly ConfigWarning[];
}

/** What the process does to itself. */
export interface ProcessConfig {
  /** The directory that names of config files start from. */
  readonly startDirectory: string;
  /** `daemon`. */
  readonly daemon: boolean;
  /** `log` and `log-append`. */
  readonly logFile: { readonly path: string; readonly append: boolean } | undefined;
  /** The log goes to syslog under this name, unless to a file: `syslog`, `daemon`. */
  readonly syslog: string | undefined;
  readonly machineReadable: boolean;
  readonly nice: number | undefined;
  readonly user: string | undefined;
  readonly group: string | undefined;
  /** What a restart (SIGUSR1, a silent peer) becomes. */
  readonly remapUsr1: 'SIGHUP' | 'SIGTERM' | undefined;
}

/** Where a client of the management interface is met: a port, or a socket of the file system. */
export type ManagementPlace =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export interface ManagementConfig {
  readonly place: ManagementPlace;
  /** The place is an address of the device, which has to be there first. */
  readonly inTunnel: boolean;
  readonly passwordFile: string | undefined;
  /** `management-client`: we connect to the place. */
  readonly connects: boolean;
  /** Names; of a unix socket only. */
  readonly clientUser: string | undefined;
  readonly clientGroup: string | undefined;
  readonly hold: boolean;
  /** Lines of the log to keep. */
  readonly logCache: number;
  readonly queryRemote: boolean;
  readonly queryProxy: boolean;
  /** `management-signal`: the connection restarts when the client goes. */
  readonly signal: boolean;
  readonly upDown: boolean;
  /** `echo` lines. */
  readonly echoes: readonly string[];
  readonly where: SourcePosition;
}

/** A script with its first arguments. */
export interface ScriptCommand {
  /** As in the config, unquoted. */
  readonly text: string;
  /** The program's name as written, which becomes argv[0], and its arguments. */
  readonly words: readonly string[];
  /** Absolute path of the program. */
  readonly program: string;
  readonly where: SourcePosition;
}

export type ScriptName = 'up' | 'down' | 'route-up' | 'route-pre-down' | 'ipchange';

export interface ScriptsConfig {
  /** `script-security`, 0 to 3: only from 2 on scripts are run. */
  readonly security: number;
  /** Working directory of scripts: that of `cd`; undefined for the process's own. */
  readonly directory: string | undefined;
  readonly commands: { readonly [Name in ScriptName]?: ScriptCommand };
  /** `up-delay`: device and `up` wait until a peer has been heard. */
  readonly upDelay: boolean;
  /** `up-restart`: `down` and `up` are run for restarts, too. */
  readonly upRestart: boolean;
  /** `down-pre`: `down` comes before the device is closed. */
  readonly downPre: boolean;
  /** `setenv` and `setenv-safe`. */
  readonly environment: readonly (readonly [name: string, value: string])[];
  /** `dhcp-option` lines, without the name: foreign_option_1 and so on. */
  readonly dhcpOptions: readonly string[];
  /** `dns` lines. */
  readonly dns: DnsSettings;
}

/** One of the `nat` lines; addresses of interfaces are looked up at run time. */
export type NatLine = {
  readonly text: string;
  readonly where: SourcePosition;
  readonly match: RuleMatch;
} & (
  | {
      readonly kind: 'snat';
      readonly target:
        /** `out IF masquerade` */
        | { readonly kind: 'masquerade'; readonly egress: string }
        /** `out IF to ADDRESS` */
        | { readonly kind: 'alias'; readonly egress: string; readonly address: Uint8Array }
        /** `into tunnel [PEER]` */
        | { readonly kind: 'tunnel'; readonly peer: string | undefined };
    }
  | {
      readonly kind: 'dnat';
      /** `from peers`, `from peer NAME`, `in IF` */
      readonly from:
        | { readonly kind: 'peers'; readonly peer: string | undefined }
        | { readonly kind: 'interface'; readonly name: string };
      readonly to: Uint8Array;
      readonly toPort: number | undefined;
      readonly snat: boolean;
    }
  | { readonly kind: 'none' }
);

export interface NatConfig {
  readonly lines: readonly NatLine[];
  /** `nat-ports`: the ports of range mode. */
  readonly ports: PortRange;
  readonly timeouts: NatTimeouts;
  readonly maxSessions: number;
  readonly perHost: number;
  readonly tcpMapping: 'edm' | 'eim';
  readonly udpFiltering: 'adf' | 'eif';
  readonly unmatched: 'reinject' | 'drop';
  /** `nat-table`: number of the kernel table that captures port ranges. */
  readonly table: number;
  /** `nat-rule-protocol`: origin of our ip rules. */
  readonly ruleProtocol: number;
}

export interface InterfaceAddress6 {
  readonly local: string;
  readonly prefixLength: number;
  readonly remote: string;
}

export interface PeerConfig {
  /** The config file as given. */
  readonly file: string;
  /** Name for status and log lines: `name` of a `<peer>` block, else the file's base name without .conf or .ovpn. */
  readonly name: string;
  /** Where the peer begins: the line of its block, or the file's first. */
  readonly where: SourcePosition;
  /** Its own lines, and those outside of its block that hold for it. */
  readonly lines: DirectiveLines;
  /** The peer's addresses inside the tunnel, as far as the config tells them; text. */
  readonly tunnelAddresses: readonly string[];
  /** Prefixes behind the peer, its own addresses included. */
  readonly peerRoutes: readonly PeerRoute[];
  readonly allowedSource: AllowedSource;
  /** `client-nat` and `nat netmap`, in file order. */
  readonly netmap: readonly NetmapRule[];

  readonly key: {
    /** Where the key came from; the key itself is never part of the model, which may be printed. */
    readonly source: { readonly kind: 'file'; readonly path: string } | { readonly kind: 'inline' };
    readonly where: SourcePosition;
    readonly direction: KeyDirection;
  };
  readonly cipher: CipherSpec;
  readonly digest: DigestSpec;
  /** `providers legacy ...` was given: BF-CBC and friends may be loaded. */
  readonly legacyProvider: boolean;

  readonly replay: {
    /** `no-replay` removes the packet id from the wire when false. */
    readonly enabled: boolean;
    /** Ids; 0 selects strict mode. */
    readonly window: number;
    /** Seconds; 0 disables expiry. */
    readonly timeSec: number;
    readonly muteWarnings: boolean;
    /** `replay-persist`: path. */
    readonly persist: string | undefined;
  };

  readonly transport: ConnectionSettings & {
    /** Of a peer without remotes; each remote has its own. */
    readonly protocol: TransportProtocol;
    readonly family: AddressFamily;
    readonly remotes: readonly Remote[];
    /** `rport` or `port`: of remotes that name none. */
    readonly remotePort: number;
    /** `resolv-retry`: seconds, or Infinity. */
    readonly resolveRetrySec: number;
    /** `connect-retry-max`: rounds; 0 is unlimited. */
    readonly connectRetryMax: number;
    readonly remoteRandom: boolean;
    readonly remoteRandomHostname: boolean;
    readonly preresolve: boolean;
    readonly persistRemoteIp: boolean;
    readonly sendBufferBytes: number | undefined;
    readonly receiveBufferBytes: number | undefined;
    readonly mark: number | undefined;
    readonly bindDevice: string | undefined;
    readonly allowRecursiveRouting: boolean;
    readonly multihome: boolean;
    /** `passtos`. */
    readonly passTos: boolean;
    /** `shaper`, bytes of outer packets a second; 0 is off. */
    readonly shaperBytesPerSec: number;
  };

  readonly timers: {
    /** Seconds without a send before a ping; 0 is off. */
    readonly pingSec: number;
    /** Seconds without a valid packet before restart or exit; 0 is off. */
    readonly pingTimeoutSec: number;
    readonly pingTimeoutAction: 'restart' | 'exit';
    /** `ping-timer-rem`. */
    readonly pingTimerNeedsRemote: boolean;
    /** `inactive n [bytes]`; undefined is off. */
    readonly inactive: { readonly seconds: number; readonly bytes: number } | undefined;
    /** `session-timeout`, seconds; 0 is off. */
    readonly sessionTimeoutSec: number;
  };

  readonly mtu: {
    readonly tunMtu: number;
    /** Second argument of `tun-mtu`: replaces the value in the OCC string only. */
    readonly occMtu: number | undefined;
    /** `tun-mtu-extra`: counted for a link header, bytes. */
    readonly tunMtuExtra: number;
    readonly mssfix: MssFix;
    /** `fragment BYTES [mtu]`: longest datagram, outer headers counted with `mtu`; undefined is off. */
    readonly fragment: { readonly bytes: number; readonly countsOuter: boolean } | undefined;
    /** `link-mtu` was given (tunMtu is already converted, and mssfix off unless given or `fragment` is). */
    readonly fromLinkMtu: boolean;
  };
  readonly framing: CompressionFraming;
  /** `mtu-probe`: when the path MTU is measured. */
  readonly mtuProbe: 'off' | 'start' | { readonly everySec: number };
  /** Our own OCC requests are sent; replies always are. */
  readonly occ: boolean;

  readonly device: {
    readonly type: DeviceType;
    /** Exact interface name, or undefined for the kernel's next free `tunN` or `tapN`. */
    readonly name: string | undefined;
    /** `dev-node`. */
    readonly node: string;
    readonly txQueueLength: number | undefined;
    /** `lladdr`, of a tap device: xx:xx:xx:xx:xx:xx in lower case. */
    readonly linkAddress: string | undefined;
    /** `bridge`: of the kernel, of which the tap device becomes a port. */
    readonly bridge: string | undefined;
    readonly address: InterfaceAddress | undefined;
    readonly address6: InterfaceAddress6 | undefined;
    /** `ifconfig-noexec`: leave the device alone. */
    readonly noExec: boolean;
    readonly ifconfigNoWarn: boolean;
  };
  readonly routes: readonly RouteConfig[];
  /** `route-noexec`. */
  readonly routeNoExec: boolean;

  readonly log: { readonly verb: number; readonly mute: number; readonly timestamps: boolean };
  readonly statusFile: { readonly path: string; readonly intervalSec: number } | undefined;
  readonly pidFile: string | undefined;
}

export interface ConfigWarning {
  readonly severity: 'warning' | 'remark';
  readonly code: string;
  readonly what: string;
  readonly why?: string | undefined;
  readonly fix?: string | undefined;
  readonly where: SourcePosition;
}
