/** What `tsvpn lab` is asked for and what it found. */
import type { Paint } from '../control/colour.ts';

export type Implementation = 'tsvpn' | 'openvpn';

/** Five hosts in a row; the names stand in the namespaces' names, too. */
export type HostName = 'hosta' | 'gatewaya' | 'internet' | 'gatewayb' | 'hostb';

export interface LabOptions {
  /** What runs on gateway B; tsvpn runs on gateway A. */
  readonly peer: Implementation;
  /** After the measurements, leave everything running until `signal` is aborted. */
  readonly keep: boolean;
  /** The result is one line of JSON instead of the picture. */
  readonly json: boolean;
  /** Takes the result (stdout), line by line without line feeds. */
  readonly write: (line: string) => void;
  /** Takes what is being done at the moment (stderr). */
  readonly progress?: (line: string) => void;
  readonly paint?: Paint;
  /** How to start tsvpn, for example `[process.execPath, 'dist/cli/main.js']`. */
  readonly tsvpnCommand: readonly string[];
  /** Ctrl-C: everything is removed, then runLab rejects (or, under `keep`, resolves). */
  readonly signal: AbortSignal;
  /** Size of the TCP transfer, each way. */
  readonly transferBytes: number;
  /** For comparison runs: overrides what runs on each gateway. */
  readonly gateways?: { readonly a: Implementation; readonly b: Implementation };
}

export interface PingResult {
  readonly from: 'A' | 'B';
  readonly sent: number;
  readonly received: number;
  /** Milliseconds; undefined when nothing came back. */
  readonly rttMs: { readonly min: number; readonly mean: number; readonly max: number } | undefined;
}

export interface TraceResult {
  readonly from: 'A' | 'B';
  /** Address that answered at TTL 1, 2, ...; undefined where none did. */
  readonly hops: readonly (string | undefined)[];
  /** The last hop is the destination and every one is who it should be. */
  readonly asExpected: boolean;
}

export interface TransferResult {
  readonly from: 'A' | 'B';
  readonly bytes: number;
  readonly megabitsPerSecond: number;
  /** What arrived has the SHA-256 of what was sent. */
  readonly intact: boolean;
}

export interface LabReport {
  readonly schema: 'tsvpn.lab/1';
  /** Every ping answered, every hop as expected, every transfer intact. */
  readonly ok: boolean;
  readonly gateways: { readonly a: Implementation; readonly b: Implementation };
  readonly pings: readonly PingResult[];
  readonly traces: readonly TraceResult[];
  readonly transfers: readonly TransferResult[];
  /** How to get a shell on each host, while the lab stands. */
  readonly shells: Readonly<Record<HostName, string>>;
  /** Configs, key and logs of the gateways, while the lab stands. */
  readonly folder: string;
}
