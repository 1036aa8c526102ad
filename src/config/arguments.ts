/**
 * The types of a directive's arguments. Each knows its name in a synopsis, how to read a word, and what to tell the
 * operator about a word it cannot read. Stock reads numbers with atoi(), which turns `abc` into 0; here a number is a
 * number.
 */
import { isIP } from 'node:net';
import { parseIpv4, parseIpv6 } from '../packet/address.ts';
import { servicePort } from './services.ts';

type Read<T> = { readonly value: T } | { readonly expected: string };

export interface Argument<T> {
  /** As in a synopsis: `SECONDS`, `yes|no`. */
  readonly label: string;
  /** For the documentation: `0 to 600`. Empty when the label says it all. */
  readonly domain: string;
  readonly optional: boolean;
  /** Takes all remaining words; the value is then an array. */
  readonly rest: boolean;
  read(word: string): Read<T>;
}

/** The values a list of arguments reads to. */
export type Values<A extends readonly Argument<unknown>[]> = {
  [K in keyof A]: A[K] extends Argument<infer T> ? T : never;
};

function argument<T>(label: string, domain: string, read: (word: string) => Read<T>): Argument<T> {
  return { label, domain, optional: false, rest: false, read };
}

export function optional<T>(inner: Argument<T>): Argument<T | undefined> {
  return { ...inner, optional: true };
}

/** One or more words up to the end of the line (none at all when wrapped in `optional`). */
export function rest(label: string): Argument<readonly string[]> {
  return { ...argument(label, '', (word: string) => ({ value: [word] as readonly string[] })), rest: true };
}

/** A whole number in decimal digits, `min` to `max`. */
export function int(label: string, min: number, max: number, unit = ''): Argument<number> {
  const domain = `${min} to ${max}${unit === '' ? '' : ` ${unit}`}`;
  return argument(label, domain, (word) => {
    const value = /^\d{1,16}$/.test(word) ? Number(word) : Number.NaN;
    return value >= min && value <= max ? { value } : { expected: `a number, ${domain}` };
  });
}

/** As `int`, and may be negative. */
export function signedInt(label: string, min: number, max: number): Argument<number> {
  const domain = `${min} to ${max}`;
  return argument(label, domain, (word) => {
    const value = /^-?\d{1,12}$/.test(word) ? Number(word) : Number.NaN;
    return value >= min && value <= max ? { value } : { expected: `a number, ${domain}` };
  });
}

/** A port by number or by name; 0, where `min` allows it, lets the kernel choose. */
export function port(min: 0 | 1): Argument<number> {
  const number = int('PORT', min, 65535);
  return argument('PORT', `${number.domain}, or a name of /etc/services`, (word) => {
    const service = servicePort(word);
    return service === undefined ? number.read(word) : { value: service };
  });
}

/** One of `choices`, which are case sensitive as in stock; the label lists them unless another is given. */
export function choice<const T extends string>(choices: readonly T[], label?: string): Argument<T> {
  return argument(label ?? choices.join('|'), label === undefined ? '' : choices.join(', '), (word) => {
    const value = choices.find((item) => item === word);
    return value === undefined ? { expected: `one of ${choices.join(', ')}` } : { value };
  });
}

/** What `a` reads, or else `b`. */
export function either<A, B>(a: Argument<A>, b: Argument<B>): Argument<A | B> {
  const domain = [a.domain, b.domain].filter((each) => each !== '').join(', or ');
  return argument<A | B>(`${a.label}|${b.label}`, domain, (text) => {
    const [first, second] = [a.read(text), b.read(text)];
    if ('value' in first) return first;
    return 'value' in second ? second : { expected: `${first.expected}, or ${second.expected}` };
  });
}

/** Any word, the empty one excepted. */
export function word(label: string): Argument<string> {
  return argument(label, '', (text) => (text === '' ? { expected: 'a word' } : { value: text }));
}

/** Any word, the empty one included. */
export function text(label: string): Argument<string> {
  return argument(label, '', (value) => ({ value }));
}

/** A host name or an address. */
export const host: Argument<string> = argument('HOST', '', (name) => {
  const plausible = isIP(name) !== 0 || /^[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?\.?$/.test(name);
  const mistakenAddress = /^[\d.]+$/.test(name) && isIP(name) === 0;
  if (plausible && !mistakenAddress) return { value: name };
  return { expected: 'a host name or an IP address' };
});

/** An IPv4 address in dotted decimal. */
export function ipv4(label: string): Argument<string> {
  return argument(label, 'IPv4 address', (address) =>
    parseIpv4(address) === undefined ? { expected: 'an IPv4 address' } : { value: address },
  );
}

/** An IPv6 address. */
export function ipv6(label: string): Argument<string> {
  return argument(label, 'IPv6 address', (address) =>
    parseIpv6(address) === undefined ? { expected: 'an IPv6 address' } : { value: address },
  );
}

/** The address of one Ethernet station, in lower case. */
export const linkAddress: Argument<string> = argument('MAC', 'six hexadecimal bytes', (word) => {
  const octets = word.split(':').map((octet) => (/^[\da-f]{1,2}$/i.test(octet) ? parseInt(octet, 16) : NaN));
  const wellFormed = octets.length === 6 && octets.every((octet) => octet >= 0);
  // The lowest bit of the first byte marks a group (IEEE 802), and no station has the address zero.
  const ofStation = wellFormed && (octets[0] & 1) === 0 && octets.some((octet) => octet > 0);
  if (!ofStation) return { expected: 'the MAC address of one station: 02:00:5e:10:00:01' };
  return { value: octets.map((octet) => octet.toString(16).padStart(2, '0')).join(':') };
});

/** A number, or a word that stands for Infinity. */
export function intOrInfinite(label: string, infinite: string, max: number): Argument<number> {
  const number = int(label, 0, max);
  return argument(`${infinite}|${label}`, number.domain, (given) => {
    if (given === infinite) return { value: Infinity };
    const read = number.read(given);
    return 'value' in read ? read : { expected: `${infinite} or ${read.expected}` };
  });
}
