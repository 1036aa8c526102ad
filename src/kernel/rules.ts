/** Policy rules (ip-rule(8)) of the current network namespace, by rtnetlink(7); names as in linux/fib_rules.h. */
import {
  attribute,
  concat,
  decodeText,
  NetlinkError,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  parseAttributes,
  readU32,
  u32,
  zeroTerminated,
  type Netlink,
} from '../ffi/netlink.ts';
import type { Family } from '../packet/address.ts';
import { formatPrefix, parsePrefix } from '../packet/prefix.ts';
import { renderIp, type LocalRuleLastChange, type RuleChange } from './change.ts';
import { addressFamily } from './rtnetlink.ts';

export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
const RTM_GETRULE = 34;

const FRA_DST = 1;
const FRA_SRC = 2;
const FRA_IIFNAME = 3;
const FRA_PRIORITY = 6;
const FRA_SUPPRESS_IFGROUP = 13;
const FRA_SUPPRESS_PREFIXLEN = 14;
const FRA_TABLE = 15;
const FRA_PROTOCOL = 21;
const FRA_IP_PROTO = 22;
const FRA_DPORT_RANGE = 24;
const FR_ACT_TO_TBL = 1;
const FIB_RULE_INVERT = 2;

/** What RuleChange can say. */
const KNOWN_ATTRIBUTES = new Set([
  FRA_DST,
  FRA_SRC,
  FRA_IIFNAME,
  FRA_PRIORITY,
  FRA_SUPPRESS_IFGROUP,
  FRA_SUPPRESS_PREFIXLEN,
  FRA_TABLE,
  FRA_PROTOCOL,
  FRA_IP_PROTO,
  FRA_DPORT_RANGE,
]);
const NO_SUPPRESSION = 0xffffffff;

const TRANSPORTS = { tcp: 6, udp: 17 } as const;

const RT_TABLE_LOCAL = 255;
const RTPROT_KERNEL = 2;

/** Priority of the rules that must come before `lookup local`, which the kernel puts there, too. */
export const CAPTURE_PRIORITY = 0;
/** Where a second `lookup local` stands while the first is moved. */
const STAND_IN_PRIORITY = 1;

/** `other`: the rule does not hold for every packet it selects, or has selectors that RuleChange cannot express. */
export type FoundRule = RuleChange & { readonly other: boolean };

/** All rules of a family, in the order in which they are tried. */
export function dumpRules(netlink: Netlink, family: Family): FoundRule[] {
  const request = new Uint8Array(12);
  request[0] = addressFamily(family);
  return netlink
    .transact('RTM_GETRULE', RTM_GETRULE, NLM_F_DUMP, request)
    .map((message) => parseRule(family, message));
}

/** struct fib_rule_hdr: 0 family  1 dst length  2 src length  3 TOS  4 table  7 action  8 flags (u32)  12 attributes */
function parseRule(family: Family, message: Uint8Array): FoundRule {
  const attributes = parseAttributes(message, 12);
  const number = (type: number, otherwise: number) => {
    const value = attributes.get(type);
    if (value === undefined) return otherwise;
    return value.length === 1 ? value[0] : readU32(value);
  };
  const from = prefixText(attributes.get(FRA_SRC), message[2]);
  const to = prefixText(attributes.get(FRA_DST), message[1]);
  const incoming = attributes.get(FRA_IIFNAME);
  const transportNumber = attributes.get(FRA_IP_PROTO)?.[0];
  const transport = transportNumber === 6 ? 'tcp' : transportNumber === 17 ? 'udp' : undefined;
  const ports = attributes.get(FRA_DPORT_RANGE);
  const suppressed = number(FRA_SUPPRESS_PREFIXLEN, NO_SUPPRESSION);
  return {
    kind: 'rule',
    family,
    priority: number(FRA_PRIORITY, 0),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(incoming === undefined ? {} : { incoming: decodeText(incoming) }),
    ...(transport === undefined ? {} : { transport }),
    ...(ports === undefined ? {} : { destinationPorts: parsePorts(ports) }),
    table: number(FRA_TABLE, message[4]),
    ...(suppressed === NO_SUPPRESSION ? {} : { suppressPrefixLength: suppressed }),
    protocol: number(FRA_PROTOCOL, 0),
    other:
      message[3] !== 0 ||
      message[7] !== FR_ACT_TO_TBL ||
      (readU32(message.subarray(8)) & FIB_RULE_INVERT) !== 0 ||
      suppressed !== NO_SUPPRESSION ||
      number(FRA_SUPPRESS_IFGROUP, NO_SUPPRESSION) !== NO_SUPPRESSION ||
      (transportNumber !== undefined && transport === undefined) ||
      [...attributes.keys()].some((type) => !KNOWN_ATTRIBUTES.has(type)),
  };
}

function prefixText(bytes: Uint8Array | undefined, length: number): string | undefined {
  return bytes === undefined ? undefined : formatPrefix({ bytes, length });
}

/** struct fib_rule_port_range: start (u16), end (u16) */
function parsePorts(bytes: Uint8Array): { first: number; last: number } {
  return { first: bytes[0] | (bytes[1] << 8), last: bytes[2] | (bytes[3] << 8) };
}

function ruleMessage(rule: RuleChange): Uint8Array {
  const to = rule.to === undefined ? undefined : parsePrefix(rule.to);
  const from = rule.from === undefined ? undefined : parsePrefix(rule.from);
  const header = new Uint8Array(12);
  header.set([addressFamily(rule.family), to?.length ?? 0, from?.length ?? 0]);
  header[7] = FR_ACT_TO_TBL;
  const parts = [
    header,
    attribute(FRA_PRIORITY, u32(rule.priority)),
    attribute(FRA_TABLE, u32(rule.table)),
    attribute(FRA_PROTOCOL, Uint8Array.of(rule.protocol)),
  ];
  if (to !== undefined) parts.push(attribute(FRA_DST, to.bytes));
  if (from !== undefined) parts.push(attribute(FRA_SRC, from.bytes));
  if (rule.incoming !== undefined) parts.push(attribute(FRA_IIFNAME, zeroTerminated(rule.incoming)));
  if (rule.transport !== undefined) {
    parts.push(attribute(FRA_IP_PROTO, Uint8Array.of(TRANSPORTS[rule.transport])));
  }
  if (rule.suppressPrefixLength !== undefined) {
    parts.push(attribute(FRA_SUPPRESS_PREFIXLEN, u32(rule.suppressPrefixLength)));
  }
  if (rule.destinationPorts !== undefined) {
    const { first, last } = rule.destinationPorts;
    parts.push(attribute(FRA_DPORT_RANGE, u32(first + last * 0x10000)));
  }
  return concat(...parts);
}

/**
 * Is there such a rule? What else the kernel tells of it does not count: newer ones have more to say of the same rule (Linux
 * 6.15 a mask of every port), and the protocol number is ours.
 */
export function ruleExists(netlink: Netlink, rule: RuleChange): boolean {
  const text = renderIp(rule);
  return dumpRules(netlink, rule.family).some((found) => renderIp(found) === text);
}

/** Adds a rule behind those of the same priority. An equal one, of the same protocol, is EEXIST. */
export function addRule(netlink: Netlink, rule: RuleChange): void {
  netlink.transact('RTM_NEWRULE', RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, ruleMessage(rule));
}

/** False when exactly this rule, of this protocol, is not there. */
export function deleteRule(netlink: Netlink, rule: RuleChange): boolean {
  if (!ruleExists(netlink, rule)) return false;
  netlink.transact('RTM_DELRULE', RTM_DELRULE, 0, ruleMessage(rule));
  return true;
}

/** The rule that delivers to this host, as the kernel sets it up, or its stand-in. */
function localRule(family: Family, priority: number, protocol: number): RuleChange {
  return { kind: 'rule', family, priority, table: RT_TABLE_LOCAL, protocol };
}

/** A rule without condition that looks up table local. */
export function isLocalRule(rule: FoundRule): boolean {
  return !rule.other && renderIp(rule) === renderIp(localRule(rule.family, rule.priority, rule.protocol));
}

/** Do packets meet our capture rules before any rule that would deliver them to this host? */
export function localRuleIsLast(netlink: Netlink, change: LocalRuleLastChange): boolean {
  return localRuleBeforeOurs(netlink, change) === undefined;
}

function localRuleBeforeOurs(
  netlink: Netlink,
  { family, protocol }: LocalRuleLastChange,
): FoundRule | undefined {
  const rules = dumpRules(netlink, family);
  const lastOurs = rules.findLastIndex((rule) => rule.protocol === protocol && !isLocalRule(rule));
  return rules.slice(0, Math.max(0, lastOurs)).find(isLocalRule);
}

/** Origin of the rule `lookup local` at our priority; undefined when it stands elsewhere and needs no move. */
export function localRuleProtocol(netlink: Netlink, family: Family): number | undefined {
  return dumpRules(netlink, family).find((rule) => rule.priority === CAPTURE_PRIORITY && isLocalRule(rule))
    ?.protocol;
}

/** There is one such rule, unless somebody has added more. */
const MOST_LOCAL_RULES = 8;

/**
 * Moves the rule `lookup local` behind our rules: equal priorities keep the order in which they were added. Between any two
 * of these requests there is one, so that a process killed here leaves a host that can be reached; repairLocalRule()
 * then finishes the work.
 */
export function moveLocalRuleLast(netlink: Netlink, change: LocalRuleLastChange): void {
  for (let moves = 0; moves < MOST_LOCAL_RULES; moves++) {
    const local = localRuleBeforeOurs(netlink, change);
    if (local === undefined) return;
    moveLast(netlink, local, localRule(change.family, STAND_IN_PRIORITY, change.protocol));
  }
}

/** Another tsvpn may be at the same work: each has a stand-in of its own, and what one has done the other need not do. */
function moveLast(netlink: Netlink, rule: RuleChange, standIn: RuleChange): void {
  netlink.transact('RTM_NEWRULE', RTM_NEWRULE, NLM_F_CREATE, ruleMessage(standIn));
  unless('ENOENT', () => netlink.transact('RTM_DELRULE', RTM_DELRULE, 0, ruleMessage(rule)));
  unless('EEXIST', () => addRule(netlink, rule));
  unless('ENOENT', () => netlink.transact('RTM_DELRULE', RTM_DELRULE, 0, ruleMessage(standIn)));
}

/** Runs `request` and lets one refusal pass. */
function unless(code: string, request: () => unknown): void {
  try {
    request();
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.code !== code) throw error;
  }
}

/** Takes away the stand-in of a move that was not finished; false when there is none. `origin` as before the move. */
export function repairLocalRule(
  netlink: Netlink,
  { family, protocol }: LocalRuleLastChange,
  origin: number | undefined,
): boolean {
  const standIn = localRule(family, STAND_IN_PRIORITY, protocol);
  if (!ruleExists(netlink, standIn)) return false;
  if (localRuleProtocol(netlink, family) === undefined) {
    unless('EEXIST', () => addRule(netlink, localRule(family, CAPTURE_PRIORITY, origin ?? RTPROT_KERNEL)));
  }
  return deleteRule(netlink, standIn);
}
