/** Readers of addresses, networks, ports and names, for directives with a grammar of their own. */
import { addressBytes, formatAddress, parseIpv4 } from '../packet/address.ts';
import { formatPrefix, isMasked, maskBytes } from '../packet/prefix.ts';
import type { Prefix } from '../packet/prefix.ts';
import type { PortRange } from '../nat/rule.ts';
import { maskLength } from './address.ts';
import { refuse, shorten, warn } from './findings.ts';
import type { Word } from './lexer.ts';
import { oneWord, peek, refuseWord, take } from './words.ts';
import type { Reader, Words } from './words.ts';

const NETWORK = 'a network (10.1.0.0/16, fd00:1::/48)';

/** Prefix length: a number up to `bits`, or for IPv4 a netmask; undefined for anything else. */
function lengthOf(text: string, bits: number): number | undefined {
  const mask = bits === 32 ? parseIpv4(text) : undefined;
  if (mask !== undefined) return maskLength(mask);
  const length = /^\d{1,3}$/.test(text) ? Number(text) : Infinity;
  return length <= bits ? length : undefined;
}

interface Cut {
  readonly word: Word;
  readonly bytes: Uint8Array;
  readonly length: number;
}

/** `ADDRESS/LENGTH`, `ADDRESS/MASK`, an address alone, or (when `mayHaveMask`) `ADDRESS MASK` in two words. */
function cutNetwork(words: Words, mayHaveMask: boolean): Cut | undefined {
  const word = take(words, NETWORK);
  if (word === undefined) return undefined;
  const [address, lengthText, ...more] = word.text.split('/');
  const bytes = addressBytes(address);
  if (bytes === undefined || more.length > 0) return refuseWord(words, word, NETWORK);
  const bits = bytes.length * 8;
  if (lengthText !== undefined) {
    const length = lengthOf(lengthText, bits);
    return length === undefined ? refuseWord(words, word, NETWORK) : { word, bytes, length };
  }
  const mask = mayHaveMask && bits === 32 ? peek(words) : undefined;
  if (mask === undefined || parseIpv4(mask.text) === undefined) return { word, bytes, length: bits };
  words.taken += 1;
  const length = lengthOf(mask.text, bits);
  return length === undefined ? refuseWord(words, mask, 'a netmask') : { word, bytes, length };
}

const HOST_BITS = 'has bits set behind its length';

function networkReader(mayHaveMask: boolean): Reader<Prefix> {
  return (words) => {
    const cut = cutNetwork(words, mayHaveMask);
    if (cut === undefined) return undefined;
    const { word, bytes, length } = cut;
    if (isMasked(bytes, length)) return { bytes, length };
    const network = formatPrefix({ bytes: maskBytes(bytes, length), length });
    const what = `${words.line.name}: ${formatAddress(bytes)}/${length} ${HOST_BITS}`;
    refuse(words.findings, word.where, 'CONFIG_ARGUMENT', what, {
      why: 'it names an address where a network belongs',
      fix: `write ${network}, or ${formatAddress(bytes)} for the one address`,
    });
    return undefined;
  };
}

/** A network, the mask behind a slash or a word of its own; bits behind its length are refused. */
export const network = networkReader(true);

/** Networks up to the end of the line. */
export const networks: Reader<readonly Prefix[]> = (words) => {
  const read = networkReader(false);
  const list: Prefix[] = [];
  do {
    const prefix = read(words);
    if (prefix === undefined) return undefined;
    list.push(prefix);
  } while (peek(words) !== undefined);
  return list;
};

/** As `network`; bits behind the length are cleared with a warning, for lines that stock accepts. */
export const looseNetwork: Reader<Prefix> = (words) => {
  const cut = cutNetwork(words, true);
  if (cut === undefined) return undefined;
  const { word, bytes, length } = cut;
  const prefix = { bytes: maskBytes(bytes, length), length };
  if (!isMasked(bytes, length)) {
    const what = `${words.line.name}: ${formatAddress(bytes)}/${length} ${HOST_BITS}`;
    warn(words.findings, word.where, 'CONFIG_HOST_BITS', what, {
      why: `it is read as ${formatPrefix(prefix)}; in OpenVPN the line never matches`,
      fix: `write ${formatPrefix(prefix)}`,
    });
  }
  return prefix;
};

export const address = oneWord('an IP address', addressBytes);

/** IFNAMSIZ less the NUL; the kernel's dev_valid_name(). */
export const interfaceName = oneWord('the name of an interface', (text) =>
  /^[^\s/:]{1,15}$/.test(text) && text !== '.' && text !== '..' ? text : undefined,
);

/** A name with its place, for what can only be checked when all files are read. */
export const peerName: Reader<Word> = (words) => take(words, "a peer's name");

function portOf(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65535 ? port : undefined;
}

/** `80` or `8000-8080`. */
export const ports: Reader<PortRange> = oneWord('a port or a range of ports (80, 8000-8080)', (text) => {
  const [first, last, ...more] = text.split('-').map(portOf);
  if (first === undefined || more.length > 0) return undefined;
  if (!text.includes('-')) return { first, last: first };
  return last === undefined || last < first ? undefined : { first, last };
});

/** Protocols with a name in rules; the numbers are IANA's. */
export const PROTOCOLS = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  gre: 47,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  ospf: 89,
  sctp: 132,
} as const;

export const protocol = oneWord(
  `a protocol (${Object.keys(PROTOCOLS).join(', ')}, or its number)`,
  (text) => {
    if (Object.hasOwn(PROTOCOLS, text)) return PROTOCOLS[text as keyof typeof PROTOCOLS];
    const number = /^\d{1,3}$/.test(text) ? Number(text) : Infinity;
    return number <= 255 ? number : undefined;
  },
);

export interface Target {
  readonly address: Uint8Array;
  readonly port: number | undefined;
  readonly word: Word;
}

/** `ADDRESS`, `ADDRESS:PORT`, `[IPV6]:PORT`. */
export const target: Reader<Target> = (words) => {
  const expected = 'an address, with a port or without (10.1.0.26, 10.1.0.26:80, [fd00::1]:80)';
  const word = take(words, expected);
  if (word === undefined) return undefined;
  const plain = addressBytes(word.text);
  if (plain !== undefined) return { address: plain, port: undefined, word };
  const [, bracketed, bare, portText] = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(word.text) ?? [];
  const bytes = addressBytes(bracketed ?? bare ?? '');
  const port = portOf(portText ?? '');
  if (bytes === undefined || port === undefined) return refuseWord(words, word, expected);
  return { address: bytes, port, word };
};

export function nameProblem(name: string): string | undefined {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)
    ? undefined
    : `\`${shorten(name)}\` is not a name of letters, digits, dots, dashes and underscores`;
}
