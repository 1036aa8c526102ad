/** Does anybody else use policy rules, or our table, in a way that collides with ours? */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GatewayConfig } from '../../config/model.ts';
import type { Netlink } from '../../ffi/netlink.ts';
import { formatAddress, type Family } from '../../packet/address.ts';
import { renderIp, type KernelChange } from '../change.ts';
import { dumpRoutes } from '../routes.ts';
import { linkByName } from '../rtnetlink.ts';
import { CAPTURE_PRIORITY, dumpRules, isLocalRule, type FoundRule } from '../rules.ts';
import { refusal, type Finding, type PreflightWarning } from './finding.ts';
import type { Capture, NatPlan } from './plan.ts';

/** `device` is our own; `applied` is in the kernel already, and ours. */
export function checkRules(
  netlink: Netlink,
  config: GatewayConfig,
  device: string,
  plan: NatPlan,
  applied: readonly KernelChange[],
): Finding[] {
  const ours = new Set([...plan.changes, ...applied].map(renderIp));
  return ([4, 6] as const)
    .filter((family) => plan.changes.some((change) => change.kind === 'rule' && change.family === family))
    .flatMap((family) => {
      const rules = dumpRules(netlink, family);
      const foreign = rules.filter(
        (rule) => rule.protocol === config.nat.ruleProtocol && !ours.has(renderIp(rule)),
      );
      return [
        ...rulesBehindLocal(rules, config.nat.ruleProtocol),
        ...tableUsers(netlink, family, rules, config.nat, device),
        ...captureCollisions(foreign, plan),
      ];
    });
}

/** They have no effect today, and would begin to have one when the local rule moves behind them. */
function rulesBehindLocal(rules: readonly FoundRule[], ruleProtocol: number): Finding[] {
  const atOurs = rules.filter(({ priority }) => priority === CAPTURE_PRIORITY);
  const local = atOurs.findIndex(isLocalRule);
  return atOurs
    .slice(local === -1 ? atOurs.length : local)
    .filter((rule) => !isLocalRule(rule) && rule.protocol !== ruleProtocol)
    .map((rule) =>
      refusal({
        code: 'NAT_RULE_PRIORITY',
        what: `somebody else has a policy rule of priority ${CAPTURE_PRIORITY}: ${describe(rule)}`,
        why: 'it has no effect behind `lookup local`, and would get one, because tsvpn moves that rule behind its own',
        fix: 'give that rule another priority (behind 0), or use a spare address: nat snat ... out IF to ADDRESS',
        directives: ['nat'],
      }),
    );
}

function tableUsers(
  netlink: Netlink,
  family: Family,
  rules: readonly FoundRule[],
  { table, ruleProtocol }: GatewayConfig['nat'],
  device: string,
): Finding[] {
  const index = linkByName(netlink, device)?.index;
  const hops = dumpRoutes(netlink, family, { table }).flatMap(({ nextHops }) => nextHops);
  const foreignRule = rules.some((rule) => rule.table === table && rule.protocol !== ruleProtocol);
  if (!foreignRule && hops.every(({ interfaceIndex }) => interfaceIndex === index)) return [];
  return [
    refusal({
      code: 'NAT_TABLE_IN_USE',
      what: `the kernel's routing table ${table} is in use by somebody else`,
      why: 'another tsvpn, or another program, has routes or rules with it',
      fix: `nat-table NUMBER\n(a number that \`ip rule\` and \`ip route show table all\` do not mention)`,
      directives: ['nat-table', 'nat'],
    }),
  ];
}

/** Rules of another tsvpn, or of an earlier one with another config whose journal is lost. */
function captureCollisions(foreign: readonly FoundRule[], plan: NatPlan): Finding[] {
  return foreign.flatMap((rule) => {
    const capture = plan.captures.find((candidate) => collides(rule, candidate));
    if (capture === undefined) return [];
    return [
      refusal({
        code: 'NAT_CAPTURE_COLLIDES',
        what: `another tsvpn captures some of the same ports: ${describe(rule)}`,
        why: 'only the first of two rules for a port has an effect',
        fix: `give one of them other ports with nat-ports; if none runs, remove the rule: ${deletion(rule)}`,
        where: capture.where,
      }),
    ];
  });
}

function collides(rule: FoundRule, { address, ports, transports }: Capture): boolean {
  const taken = rule.destinationPorts;
  return (
    rule.to === `${formatAddress(address)}/${address.length * 8}` &&
    (rule.transport === undefined || transports.includes(rule.transport)) &&
    (taken === undefined || (taken.first <= ports.last && ports.first <= taken.last))
  );
}

function describe(rule: FoundRule): string {
  return renderIp(rule).replace(/^ip(?: -6)? rule add /, '') + (rule.other ? ' ...' : '');
}

function deletion(rule: FoundRule): string {
  return renderIp(rule).replace('rule add', 'rule del');
}

const NETWORKD_STATE = '/run/systemd/netif/state';
const NETWORKD_CONFIG = [
  '/etc/systemd/networkd.conf',
  '/etc/systemd/networkd.conf.d',
  '/run/systemd/networkd.conf.d',
];

/** At its own restart systemd-networkd removes the rules it has not made, unless told not to. */
export function checkNetworkd(): Finding[] {
  if (!existsSync(NETWORKD_STATE) || sparesForeignRules(NETWORKD_CONFIG.map(readConfig).join('\n')))
    return [];
  return [networkdWarning];
}

const networkdWarning: PreflightWarning = {
  code: 'NAT_NETWORKD',
  what: 'systemd-networkd runs here, and removes the policy rules of others when it restarts',
  why: 'tsvpn puts them back within 5 s, and answers that arrive in between are lost',
  fix: 'ManageForeignRoutingPolicyRules=no\n(in the section [Network] of /etc/systemd/networkd.conf.d/tsvpn.conf)',
};

/** The last one counts. */
export function sparesForeignRules(text: string): boolean {
  const values = [...text.matchAll(/^[ \t]*ManageForeignRoutingPolicyRules[ \t]*=[ \t]*(\S*)/gim)];
  return /^(?:no|n|false|f|off|0)$/i.test(values.at(-1)?.[1] ?? '');
}

/** A file, or all *.conf files of a directory. */
function readConfig(path: string): string {
  try {
    if (path.endsWith('.conf')) return readFileSync(path, 'utf8');
    const names = readdirSync(path).filter((name) => name.endsWith('.conf'));
    return names
      .toSorted()
      .map((name) => readConfig(join(path, name)))
      .join('\n');
  } catch {
    return '';
  }
}
