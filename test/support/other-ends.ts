/** Configs whose other end is written, and read. */
import type { OtherEnd } from '../../src/config/other-end.ts';

/** Lines beside those of test/support/config.ts. */
const CONFIGS: Readonly<Record<string, readonly string[]>> = {
  'nothing special': [],
  'a remote, and keepalive': ['remote 192.0.2.7', 'keepalive 10 60'],
  'ports of its own': ['remote 192.0.2.7 5000', 'lport 5001'],
  'no port': ['remote 192.0.2.7 5000', 'nobind'],
  'a key direction': ['key-direction 0', 'auth SHA256'],
  'an address to listen on': ['local 192.0.2.1', 'proto udp4'],
  'ping lines': ['ping 5', 'ping-exit 60'],
  goodbyes: ['explicit-exit-notify 2'],
  'a smaller tun-mtu': ['tun-mtu 1400'],
  'another tun-mtu in words': ['tun-mtu 1400 1500'],
  'a subnet': ['topology subnet', 'ifconfig 10.254.0.1 255.255.255.0', 'peer-address 10.254.0.7'],
  'a subnet of two': ['topology subnet', 'ifconfig 10.254.0.1 255.255.255.252'],
  'no addresses': ['ifconfig-nowarn'],
  fragment: ['fragment 1200', 'mssfix 1200'],
  'fragment with outer headers': ['fragment 1200 mtu', 'mssfix 1200 mtu'],
  'mssfix fixed': ['mssfix 1300 fixed'],
  'no mssfix': ['mssfix 0'],
  'comp-lzo': ['comp-lzo'],
  'comp-lzo no': ['comp-lzo no'],
  'a TCP server': ['proto tcp-server', 'port 443'],
  'a TCP client': ['proto tcp-client', 'remote 192.0.2.7 443'],
  'a tap device': ['dev tap', 'ifconfig 10.254.0.1 255.255.255.0', 'comp-lzo no'],
  'no cipher': ['cipher none'],
  'a cipher of the past': ['cipher BF-CBC', 'providers legacy default'],
  'a digest of today': ['auth SHA3-256'],
  'a replay window of its own': ['replay-window 128 30'],
};
/** Not every version can be the other end of these. */
export const SOME_KNOW: Readonly<Record<string, readonly string[]>> = {
  'IPv6 inside': ['ifconfig-ipv6 fd00::1/64 fd00::2'],
  'IPv6 outside': ['proto udp6', 'remote fd01::7'],
  'compress stub': ['compress'],
  'compress lz4': ['compress lz4'],
  'compress stub-v2': ['compress stub-v2'],
  'no packet ids': ['no-replay'],
};
/** Title and lines. */
export const EVERY = Object.entries({ ...CONFIGS, ...SOME_KNOW });

/** Which versions cannot be the other end of these. */
export const IMPOSSIBLE: Readonly<Record<string, readonly OtherEnd[]>> = {
  'IPv6 outside': ['2.2'],
  'compress stub': ['2.2', '2.3'],
  'compress lz4': ['2.2', '2.3'],
  'compress stub-v2': ['2.2', '2.3'],
  'no packet ids': ['2.7'],
};
