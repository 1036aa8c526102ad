import { ignored, refused, tlsOnly } from './spec.ts';
import type { Section } from './spec.ts';

/** Directives of TLS peers and servers that a static-key config cannot have. Stock refuses most of them too. */
// prettier-ignore
const TLS: readonly string[] = [
  'client', 'pull', 'tls-client', 'tls-server', 'server', 'server-ipv6', 'server-bridge',
  'ca', 'capath', 'cert', 'key', 'pkcs12', 'crl-verify', 'tls-auth', 'tls-crypt', 'tls-crypt-v2',
  'tls-crypt-v2-verify', 'tls-crypt-v2-max-age', 'tls-cipher', 'tls-ciphersuites', 'tls-groups', 'ecdh-curve',
  'tls-cert-profile', 'tls-version-min', 'tls-version-max', 'tls-verify', 'tls-export-cert', 'tls-exit',
  'tls-timeout', 'tls-remote', 'verify-x509-name', 'x509-track', 'x509-username-field', 'verify-hash',
  'peer-fingerprint', 'ns-cert-type', 'remote-cert-ku', 'remote-cert-eku', 'remote-cert-tls',
  'reneg-sec', 'reneg-bytes', 'reneg-pkts', 'hand-window', 'tran-window', 'single-session', 'push-peer-info',
  'key-method', 'ncp-disable', 'compat-names', 'no-name-remapping', 'keying-material-exporter',
  'pkcs11-providers', 'pkcs11-id', 'pkcs11-id-management', 'pkcs11-private-mode', 'pkcs11-protected-authentication',
  'pkcs11-cert-private', 'pkcs11-pin-cache',
  'auth-user-pass', 'auth-user-pass-verify', 'auth-user-pass-optional', 'auth-gen-token', 'auth-gen-token-secret',
  'static-challenge', 'verify-client-cert', 'client-cert-not-required', 'username-as-common-name',
  'ifconfig-pool', 'ifconfig-pool-linear', 'ifconfig-pool-persist', 'ifconfig-ipv6-pool', 'client-config-dir',
  'ccd-exclusive', 'client-connect', 'client-disconnect', 'client-crresponse', 'learn-address',
  'duplicate-cn', 'connect-freq', 'hash-size', 'stale-routes-check', 'vlan-tagging', 'opt-verify',
  'force-tls-key-material-export',
];

/** Of these, the ones stock accepts in a static-key config, where they do nothing; whoever writes them wants TLS. */
const OVERLOOKED: ReadonlySet<string> = new Set([
  'tls-version-min',
  'tls-version-max',
  'tls-groups',
  'ecdh-curve',
  'tls-crypt-v2-verify',
  'x509-track',
  'x509-username-field',
  'keying-material-exporter',
  'auth-gen-token-secret',
  'static-challenge',
  'peer-fingerprint',
  'verify-hash',
]);

/** Stock accepts these in a static-key config, too; they are harmless. */
// prettier-ignore
const NO_EFFECT: readonly string[] = [
  'push', 'dh', 'extra-certs', 'auth-retry', 'pull-filter', 'max-clients', 'max-routes-per-client',
  'connect-freq-initial', 'ifconfig-push-constraint', 'allow-pull-fqdn', 'auth-token', 'auth-token-user',
  'override-username', 'vlan-accept', 'vlan-pvid', 'peer-id', 'key-derivation', 'protocol-flags',
];

/** Directives of one client of a server. */
// prettier-ignore
const PER_CLIENT: readonly string[] = [
  'push-reset', 'push-remove', 'push-continuation', 'iroute', 'iroute-ipv6', 'ifconfig-push', 'ifconfig-ipv6-push',
  'disable',
];

export const TLS_AND_SERVER: Section = {
  title: 'TLS and server',
  directives: [
    ...TLS.map((name) =>
      tlsOnly(
        name,
        'Part of TLS mode.',
        OVERLOOKED.has(name) ? 'OpenVPN accepts it beside `secret`, without effect.' : undefined,
      ),
    ),
    ...NO_EFFECT.map((name) => ({
      ...ignored(
        name,
        'Part of TLS mode.',
        'it belongs to TLS mode; remove it',
        'None: without TLS it has no effect in OpenVPN either.',
      ),
      block: true,
    })),
    ...PER_CLIENT.map((name) =>
      refused(name, "Part of a server's settings for one client.", 'it belongs to a TLS server', 'remove it'),
    ),
  ],
};

// prettier-ignore
const WINDOWS: readonly string[] = [
  'ip-win32', 'tap-sleep', 'dhcp-renew', 'dhcp-release', 'dhcp-pre-release', 'dhcp-internal', 'register-dns',
  'block-outside-dns', 'show-net', 'show-net-up', 'win-sys', 'windows-driver', 'service', 'pause-exit',
  'allow-nonadmin', 'msg-channel', 'rdns-internal', 'cryptoapicert',
];

export const WINDOWS_ONLY: Section = {
  title: 'Windows only',
  directives: [
    ...WINDOWS.map((name) =>
      ignored(name, 'For Windows.', 'it is for Windows', 'OpenVPN on Linux does not know the line.'),
    ),
    ignored(
      'route-method',
      'How Windows adds routes.',
      undefined,
      'None: on Linux OpenVPN accepts it without effect, too.',
    ),
  ],
};
