/** IP addresses between text and the bytes the kernel wants, by the C library's own parser. */
import { isIPv4 } from 'node:net';
import { check, inetNtop, inetPton, OsError } from './libc.ts';
import { EINVAL } from './constants.ts';

export type Family = 4 | 6;

const AF_INET = 2;
const AF_INET6 = 10;
/** INET6_ADDRSTRLEN. */
const TEXT_SIZE = 46;

/** 4 or 16 bytes in network order. Throws OsError(EINVAL) when `text` is not an address literal. */
export function parseAddress(text: string): Uint8Array {
  const bytes = new Uint8Array(isIPv4(text) ? 4 : 16);
  const parsed = inetPton(bytes.length === 4 ? AF_INET : AF_INET6, text, bytes);
  if (parsed !== 1) throw new OsError(`inet_pton(${text})`, EINVAL);
  return bytes;
}

/** The canonical text (RFC 5952) of 4 or 16 bytes. */
export function formatAddress(bytes: Uint8Array): string {
  const text = Buffer.alloc(TEXT_SIZE);
  const family = bytes.length === 4 ? AF_INET : AF_INET6;
  if (inetNtop(family, bytes, text, text.length) === null) check('inet_ntop', -1);
  return text.toString('latin1', 0, text.indexOf(0));
}
