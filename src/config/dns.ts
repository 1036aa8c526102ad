/** `dns` lines (OpenVPN 2.6): servers and domains that scripts are told. tsvpn itself changes no DNS settings. */
import { isIP, isIPv4, isIPv6 } from 'node:net';
import type { Draft } from './draft.ts';
import { refuse, shorten } from './findings.ts';
import type { Line, Word } from './lexer.ts';

export interface DnsAddress {
  readonly address: string;
  readonly port: string | undefined;
}

export interface DnsServer {
  /** The lower, the earlier. */
  readonly priority: number;
  readonly addresses: readonly DnsAddress[];
  readonly resolveDomains: readonly string[];
  readonly dnssec: string | undefined;
  readonly transport: string | undefined;
  readonly sni: string | undefined;
}

export interface DnsSettings {
  readonly searchDomains: readonly string[];
  /** By priority. */
  readonly servers: readonly DnsServer[];
}

export const DNS_FORMS = [
  'dns search-domains DOMAIN...',
  'dns server PRIORITY address ADDRESS[:PORT]...',
  'dns server PRIORITY resolve-domains DOMAIN...',
  'dns server PRIORITY dnssec yes|optional|no',
  'dns server PRIORITY transport DoH|DoT|plain',
  'dns server PRIORITY sni NAME',
];

const MAX_ADDRESSES = 8;
const ONE_OF: Readonly<Record<string, readonly string[]>> = {
  dnssec: ['yes', 'optional', 'no'],
  transport: ['DoH', 'DoT', 'plain'],
};

function refuseWord(draft: Draft, word: Word, what: string, fix: string): undefined {
  refuse(draft.findings, word.where, 'CONFIG_ARGUMENT', `dns: \`${shorten(word.text)}\` is not ${what}`, {
    fix,
  });
  return undefined;
}

/** `10.0.0.53`, `10.0.0.53:5353`, `fd00::53` or `[fd00::53]:5353`. */
function readAddress(text: string): DnsAddress | undefined {
  if (isIP(text) !== 0) return { address: text, port: undefined };
  const [, ipv6, ipv4, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = ipv6 ?? ipv4 ?? '';
  const fits = ipv6 === undefined ? isIPv4(address) : isIPv6(address);
  return fits && Number(port) >= 1 && Number(port) <= 65535 ? { address, port } : undefined;
}

function readServer(draft: Draft, [priority, key, ...values]: readonly Word[]): void {
  const number = /^-?\d{1,3}$/.test(priority.text) ? Number(priority.text) : Number.NaN;
  if (!(number >= -128 && number <= 127)) {
    refuseWord(draft, priority, 'a priority, -128 to 127', DNS_FORMS[1]);
    return;
  }
  const server = draft.dnsServers.find((each) => each.priority === number) ?? {
    priority: number,
    addresses: [],
    resolveDomains: [],
    dnssec: undefined,
    transport: undefined,
    sni: undefined,
  };
  const changed = change(draft, server, key, values);
  if (changed === undefined) return;
  const others = draft.dnsServers.filter((each) => each.priority !== number);
  draft.dnsWhere = priority.where;
  draft.dnsServers.splice(0, Infinity, ...[...others, changed].toSorted((a, b) => a.priority - b.priority));
}

/** The server after the line, or undefined after a fault (recorded). */
function change(draft: Draft, server: DnsServer, key: Word, values: readonly Word[]): DnsServer | undefined {
  const [first, second] = values;
  switch (key.text) {
    case 'address': {
      const addresses = values.map((word) => readAddress(word.text));
      const bad = addresses.indexOf(undefined);
      if (bad >= 0) return refuseWord(draft, values[bad], 'an address', DNS_FORMS[1]);
      const all = [...server.addresses, ...addresses.flatMap((address) => address ?? [])];
      if (all.length > MAX_ADDRESSES)
        return refuseWord(draft, first, `one of at most ${MAX_ADDRESSES} addresses`, DNS_FORMS[1]);
      return { ...server, addresses: all };
    }
    case 'resolve-domains':
      return { ...server, resolveDomains: [...server.resolveDomains, ...values.map(({ text }) => text)] };
    case 'dnssec':
    case 'transport':
    case 'sni': {
      const choices = ONE_OF[key.text];
      if (second !== undefined) return refuseWord(draft, second, 'expected: one word only', DNS_FORMS[3]);
      if (choices !== undefined && !choices.includes(first.text)) {
        return refuseWord(
          draft,
          first,
          `one of ${choices.join(', ')}`,
          `dns server PRIORITY ${key.text} ${choices.join('|')}`,
        );
      }
      return { ...server, [key.text]: first.text };
    }
    default:
      return refuseWord(draft, key, 'address, resolve-domains, dnssec, transport or sni', DNS_FORMS[1]);
  }
}

export function readDns(draft: Draft, line: Line): void {
  const [what, ...rest] = line.words;
  if (what.text === 'search-domains' && rest.length > 0) {
    draft.dnsSearchDomains.push(...rest.map(({ text }) => text));
  } else if (what.text === 'server' && rest.length >= 3) readServer(draft, rest);
  else refuseWord(draft, what, 'followed by what belongs there', DNS_FORMS.slice(0, 2).join('\n'));
}

/** As stock, which ends when it has read everything; undefined when each has one. */
export function serverWithoutAddress({ dnsServers, dnsWhere: where }: Draft) {
  const bare = dnsServers.find(({ addresses }) => addresses.length === 0);
  if (bare === undefined || where === undefined) return undefined;
  const line = `dns server ${bare.priority}`;
  return { where, what: `${line} has no address`, fix: `${line} address 10.0.0.53` };
}

/** `dhcp-option` lines as scripts see them: `dns` lines replace those about servers and about search domains. */
export function withDns(options: readonly string[], { servers, searchDomains }: DnsSettings): string[] {
  const kept = options.filter(
    (option) =>
      !(servers.length > 0 && /^DNS6? /.test(option)) &&
      !(searchDomains.length > 0 && option.startsWith('DOMAIN-SEARCH ')),
  );
  const addresses = servers.flatMap((server) => server.addresses);
  return [
    ...kept,
    ...addresses.map(({ address }) => `${isIPv6(address) ? 'DNS6' : 'DNS'} ${address}`),
    ...searchDomains.map((domain) => `DOMAIN-SEARCH ${domain}`),
  ];
}
