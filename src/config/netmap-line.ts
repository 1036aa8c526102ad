/**
 * Stateless translation of whole networks for one peer, in two spellings: `client-nat` as in OpenVPN, and
 *
 *     nat netmap peer NAME local NETWORK as NETWORK remote NETWORK as NETWORK
 *
 * `local` is on this side, `as` what the peer sees in its place; `remote` is on the peer's side, `as` what this side sees.
 */
import type { NetmapRule } from '../nat/rule.ts';
import { formatAddress } from '../packet/address.ts';
import { formatPrefix, isMasked, maskBytes } from '../packet/prefix.ts';
import type { Prefix } from '../packet/prefix.ts';
import type { Draft, DraftNetmap } from './draft.ts';
import { warn } from './findings.ts';
import type { Line } from './lexer.ts';
import { address, looseNetwork, network, peerName } from './network-words.ts';
import { keyword, peek, readClauses, refuseRule, refuseWord, wordsOf } from './words.ts';
import type { Reader, Words } from './words.ts';

export const NETMAP_FORM = 'nat netmap peer NAME [local NETWORK as NETWORK] [remote NETWORK as NETWORK]';
export const CLIENT_NAT_FORM = 'client-nat snat|dnat NETWORK MASK ALIAS';

/** Stock's MAX_CLIENT_NAT. */
const MAX_CLIENT_NAT = 64;

interface Pair {
  readonly own: Prefix;
  readonly alias: Prefix;
}

/** RFC 6296 section 3.5 keeps checksums by changing one of the 16-bit words behind the prefix. */
const LONGEST_NPT_PREFIX = 112;

const NETMAP_PAIR: Reader<Pair> = (words) => {
  const own = network(words);
  const alias = own && keyword('as')(words) && network(words);
  if (own === undefined || alias === undefined) return undefined;
  if (own.bytes.length !== alias.bytes.length || own.length !== alias.length) {
    const what = `nat netmap: ${formatPrefix(own)} and ${formatPrefix(alias)} are not of the same length`;
    return refuseRule(
      words,
      what,
      'write two networks of the same size',
      'each address stands for one other',
    );
  }
  if (own.bytes.length === 16 && own.length > LONGEST_NPT_PREFIX) {
    const what = `nat netmap: IPv6 networks are at most /${LONGEST_NPT_PREFIX}`;
    const why = 'the translation (RFC 6296) needs 16 bits behind the prefix';
    return refuseRule(words, what, 'write the /64 it lies in', why);
  }
  return { own, alias };
};

export function readNetmap(words: Words): DraftNetmap | undefined {
  const values = readClauses(words, { peer: peerName, local: NETMAP_PAIR, remote: NETMAP_PAIR });
  if (values === undefined) return undefined;
  const { peer, local, remote } = values;
  if (peer === undefined || (local ?? remote) === undefined) {
    return refuseRule(words, 'nat netmap needs `peer NAME` and `local` or `remote`', NETMAP_FORM);
  }
  const { where } = words.line;
  const rules: NetmapRule[] = [];
  if (local !== undefined) rules.push({ kind: 'snat', local: local.own, wire: local.alias, where });
  // The peer's own addresses are on the wire; the alias is what this side sees.
  if (remote !== undefined) rules.push({ kind: 'dnat', local: remote.alias, wire: remote.own, where });
  return { peer, rules };
}

/** The alias with the bits behind the mask cleared: with them, stock would add them to every address. */
function aliasOf(words: Words, { bytes: { length: size }, length }: Prefix): Prefix | undefined {
  const word = peek(words);
  const bytes = address(words);
  if (word === undefined || bytes === undefined) return undefined;
  if (bytes.length !== size) return refuseWord(words, word, 'an address of the same family');
  const prefix = { bytes: maskBytes(bytes, length), length };
  if (!isMasked(bytes, length)) {
    const what = `client-nat: ${formatAddress(bytes)} has bits set behind the mask`;
    warn(words.findings, word.where, 'CONFIG_HOST_BITS', what, {
      why: `it is read as ${formatAddress(prefix.bytes)}`,
      fix: `write ${formatAddress(prefix.bytes)}`,
    });
  }
  return prefix;
}

/** Reads a `client-nat` line into the draft; the 65th is ignored, as in stock. */
export function readClientNat(draft: Draft, line: Line): void {
  const words = wordsOf(line, draft.findings, CLIENT_NAT_FORM);
  const kind = keyword('snat', 'dnat')(words);
  const local = kind && looseNetwork(words);
  const wire = local && aliasOf(words, local);
  if (kind === undefined || local === undefined || wire === undefined) return;
  const extra = peek(words);
  if (extra !== undefined) {
    refuseWord(words, extra, 'part of the line');
  } else if (local.bytes.length === 16) {
    refuseRule(words, 'client-nat is for IPv4', 'for IPv6 write `nat netmap`');
  } else if (draft.clientNat.length === MAX_CLIENT_NAT) {
    const what = `client-nat: more than ${MAX_CLIENT_NAT} lines; this one is ignored`;
    warn(draft.findings, line.where, 'CONFIG_CLIENT_NAT', what, { why: 'OpenVPN ignores it too' });
  } else {
    draft.clientNat.push({ kind, local, wire, where: line.where });
  }
}
