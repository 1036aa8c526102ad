/**
 * The dialects of OpenVPN's config language: which version knows which directive. Versions from 2.2 (2011) on, the oldest one
 * that a static-key peer is likely to run; the wire format of this mode is the same in all of them. Tests ask 2.5 and 2.7 themselves
 * (test/netns/dialect-configs.test.ts).
 */
import { NAT } from './directives/nat.ts';
import { ROUTING } from './directives/routing.ts';

export const OPENVPN_VERSIONS = ['2.2', '2.3', '2.4', '2.5', '2.6', '2.7'] as const;
export type OpenVpnVersion = (typeof OPENVPN_VERSIONS)[number];

/** The first version that knows a directive, where that is not 2.2 or older. */
const SINCE: Readonly<Partial<Record<OpenVpnVersion, string>>> = {
  '2.3':
    'ifconfig-ipv6 route-ipv6 server-ipv6 ifconfig-ipv6-pool ifconfig-ipv6-push iroute-ipv6 mark client-nat ' +
    'route-pre-down memstats machine-readable-output use-prediction-resistance auth-token static-challenge ' +
    'stale-routes-check verify-hash verify-x509-name x509-track compat-names tls-version-min tls-version-max ' +
    'management-external-key management-query-proxy management-query-remote management-up-down ' +
    'ignore-unknown-option block-outside-dns',
  '2.4':
    'allow-recursive-routing auth-gen-token compress ecdh-curve http-proxy-user-pass ' +
    'ip-remote-hint keying-material-exporter management-external-cert msg-channel ncp-ciphers ncp-disable peer-id ' +
    'preresolve pull-filter push-remove show-curves tls-cert-profile tls-ciphersuites tls-crypt verify-client-cert',
  '2.5':
    'allow-compression auth-gen-token-secret bind-dev block-ipv6 data-ciphers data-ciphers-fallback ' +
    'route-ipv6-gateway show-groups tls-crypt-v2 tls-crypt-v2-verify tls-groups vlan-accept vlan-pvid vlan-tagging ' +
    'windows-driver',
  '2.6':
    'auth-token-user client-crresponse compat-mode connect-freq-initial disable-dco dns force-tls-key-material-export ' +
    'key-derivation max-packet-size peer-fingerprint protocol-flags providers session-timeout ' +
    'tun-mtu-max',
  '2.7':
    'allow-deprecated-insecure-static-crypto dns-updown override-username route-table tls-crypt-v2-max-age',
};

/** The last version that knows a directive, where it is gone. */
const UNTIL: Readonly<Partial<Record<OpenVpnVersion, string>>> = {
  '2.2': 'auto-proxy http-proxy-fallback show-proxy-settings',
  '2.3': 'remote-ip-hint tls-remote',
  '2.4': 'client-cert-not-required compat-names ifconfig-pool-linear key-method no-iv no-name-remapping',
  '2.5': 'inetd keysize management-client-pf ncp-disable',
  '2.6': 'memstats no-replay opt-verify',
};

const listed = (lists: typeof SINCE) =>
  new Map(
    OPENVPN_VERSIONS.flatMap((version) =>
      (lists[version] ?? '').split(' ').map((name) => [name, version] as const),
    ),
  );
const since = listed(SINCE);
const until = listed(UNTIL);

/** Directives of OpenVPN that stand in the sections of our own ones. */
const THEIRS = new Set(['client-nat', 'client-to-client']);
const OURS = new Set([
  'bridge',
  'mtu-probe',
  'peer-to-peer',
  ...[...ROUTING.directives, ...NAT.directives].map(({ name }) => name).filter((name) => !THEIRS.has(name)),
]);

/** Whether a directive of the table is one of OpenVPN's, of whatever version. */
export function isOpenVpn(name: string): boolean {
  return !OURS.has(name);
}

/** Versions that know a directive of OpenVPN. */
export function versionsOf(name: string): readonly OpenVpnVersion[] {
  const first = OPENVPN_VERSIONS.indexOf(since.get(name) ?? '2.2');
  const last = OPENVPN_VERSIONS.indexOf(until.get(name) ?? '2.7');
  return OPENVPN_VERSIONS.slice(first, last + 1);
}
