/** docs/openvpn-compatibility.md: the directive table as somebody reads it who comes from OpenVPN. */
import { code, cell, table } from './docs.ts';
import { isOpenVpn, versionsOf } from './dialects.ts';
import { SECTIONS } from './directives.ts';
import type { DirectiveSpec } from './directives/spec.ts';

const INTRO = `# Compatibility with OpenVPN

<!-- Written by scripts/docs.mjs from the directive table in src/config/directives; do not edit. -->

tsvpn replaces \`openvpn --config FILE\` for static-key tunnels. This page lists every directive that OpenVPN 2.2 to 2.7 know, what
tsvpn does with it, and where that is not what OpenVPN 2.6 does. [directives.md](directives.md) has the arguments.

| tsvpn | what becomes of the line |
| --- | --- |
| works | it does what it does in OpenVPN |
| no effect | it is accepted, so that an existing file keeps working; a warning says so when somebody may have counted on it |
| refused | an error with the line, the reason, and what to write instead |
| needs TLS | refused: tsvpn speaks static key |

For all directives: a number is a number within the range that [directives.md](directives.md) tells (OpenVPN up to 2.6 reads \`abc\` as 0,
and brings others into range without a word), an empty word is none, every fault of a file is told at once, each
with file, line and column, and a fault of the config ends with exit code 2, one of the key with 3 (OpenVPN: 1). OpenVPN 2.3
and older overlook arguments too many; later ones and tsvpn refuse them. The arguments of a line without effect are not looked at.
`;

/** What no directive tells. */
const REST = `## Dialects of the other end

The wire format of static-key tunnels is the same from 2.2 to 2.7. \`tsvpn check --peer VERSION FILE\` writes the config for the other end.

The rows for 2.5, 2.6 and 2.7 were seen on Debian's 2.5.1, 2.6.14 and 2.7.8, which the tests run next to tsvpn; what is said of 2.2 to 2.4 is
from their documentation alone.

| OpenVPN | what differs |
| --- | --- |
| 2.2 | IPv4 only, inside and outside: no \`ifconfig-ipv6\`, \`route-ipv6\`, \`proto udp6\`; no \`setenv opt\`, no \`ignore-unknown-option\` |
| 2.3 and older | \`proto udp\` and \`tcp-client\` are IPv4, \`udp6\` is IPv6; \`compress\` is unknown, \`comp-lzo\` is there; strict packet ids with TCP (2.3) |
| 2.4 and older | compresses what it sends when configured; \`data-ciphers-fallback\`, \`allow-compression\` and \`bind-dev\` are unknown; log times read \`Sun Nov 22 00:00:00 2026\` |
| 2.5 and older | \`keysize\` is known; \`tun-mtu\` has one number, \`mssfix\` and \`fragment\` no words; \`mssfix\` is 1450 without outer headers; a tap's OCC says \`tun-mtu 1532\`, and \`link-mtu\` is one more with \`compress stub-v2\` and \`lz4-v2\`; a restart pauses 5 seconds; OCC differences are logged at \`verb 1\`; \`providers\` is unknown; the management interface is version 3, without \`remote-entry-get\` |
| 2.6 | OCC differences are logged at \`verb 7\` only; two notices at start say that \`secret\` is deprecated; the management interface is version 5, as here |
| 2.7 | as 2.6, with the same OCC string and MSS; needs \`allow-deprecated-insecure-static-crypto\`; refuses \`no-replay\`, and numbers that are none or out of range; never compresses; keeps the key over restarts; a restart pauses 2 seconds, whatever \`connect-retry\` says; \`proto tcp\` is \`tcp-client\`; the management interface is version 6, with \`push-update\` commands for servers, and an unknown command named in its error |

Without a \`cipher\` line every version means BF-CBC, which OpenSSL 3 has in its legacy provider only: 2.6 and 2.7 then need \`providers legacy default\`,
2.4 and 2.5 an OpenSSL that has it.

## On the wire

Nothing that a peer could be confused by. What an observer with the key may notice:

- tsvpn keeps its replay window over soft restarts; OpenVPN forgets it, and takes recorded packets again.
- A packet that could not be sent for want of a peer's address takes no packet id.
- Own packets that come back (a reflection) are dropped by their ids, also with one key for both directions.
- An exit notification that comes several times restarts the tunnel once.
- Compressed packets are read, never sent.
- Over TCP a datagram may be as long as 16384 bytes (OpenVPN 2.6: 1768), and Nagle's algorithm is always off.
- TCP connections through the tunnel have their MSS lowered to the value that OpenVPN 2.6 computes, or further where the path to the
  peer carries less: it is measured with the OCC messages of \`mtu-test\` (\`mtu-probe off\` turns that off).
- Packets from the peer have their headers checked before they go to the kernel; OpenVPN writes them as they come.
- Packets that do not fit are answered with ICMP "fragmentation needed" or "packet too big".

## Logs

Lines that people and tools search for read as in OpenVPN: \`Peer Connection Initiated with\`, \`Initialization Sequence Completed\`,
\`Inactivity timeout (--ping-restart), restarting\`, \`SIGUSR1[soft,ping-restart] received, process restarting\`, \`Incoming packet rejected from\`,
\`link local\`, \`link remote\`. Others are tsvpn's own. In place of a line per bad
packet, [drop reasons](drop-reasons.md) are counted, and the first of a kind is explained.

Where the options of the two ends differ, tsvpn says it once at the usual level, in words, with the line to change. OpenVPN 2.6
says it at \`verb 7\`.
`;

const STATUS = { supported: 'works', ignored: 'no effect' } as const;

function statusOf({ answer }: DirectiveSpec): string {
  if (answer.status !== 'refused') return STATUS[answer.status];
  return answer.tls ? 'needs TLS' : 'refused';
}

function sentence(text: string): string {
  return `${text.replace(/^(?!tsvpn)./, (first) => first.toUpperCase())}.`;
}

function differenceOf({ answer, difference }: DirectiveSpec): string {
  if (difference !== undefined) return difference;
  if (answer.status === 'ignored') return answer.warning === undefined ? '' : sentence(answer.warning);
  return answer.status === 'refused' && !answer.tls ? sentence(answer.why) : '';
}

function versionsText(name: string): string {
  const versions = versionsOf(name);
  const [first] = versions;
  const last = versions.at(-1);
  if (first === '2.2') return last === '2.7' ? 'all' : `up to ${last}`;
  if (last !== '2.7') return first === last ? first : `${first} to ${last}`;
  return `${first} on`;
}

function rowsOf(spec: DirectiveSpec): string[] {
  return [spec.name, ...spec.aliases].filter(isOpenVpn).map((name) => {
    const difference = name === spec.name ? differenceOf(spec) : `The same as ${code(spec.name)}.`;
    return `| ${code(name)} | ${versionsText(name)} | ${statusOf(spec)} | ${cell(difference)} |`;
  });
}

/** The page as Markdown. */
export function renderCompatibility(): string {
  const head = ['Directive', 'OpenVPN', 'tsvpn', 'Difference from OpenVPN 2.6'];
  const sections = SECTIONS.flatMap(({ title, directives }) => {
    const rows = directives.flatMap(rowsOf);
    return rows.length === 0 ? [] : [`## ${title}\n\n${table(head, rows)}\n`];
  });
  return [INTRO, ...sections, REST].join('\n');
}
