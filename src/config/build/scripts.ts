/** The scripts of all files, and what they may do. */
import { isAbsolute, resolve } from 'node:path';
import { serverWithoutAddress } from '../dns.ts';
import type { Draft, DraftCommand, Settings } from '../draft.ts';
import { refuse, warn } from '../findings.ts';
import type { Findings } from '../findings.ts';
import type { ScriptCommand, ScriptName, ScriptsConfig } from '../model.ts';
import { agreed } from './shared.ts';

type CommandKey = {
  [Key in keyof Settings]: Settings[Key] extends DraftCommand ? Key : never;
}[keyof Settings];

const KEYS: Readonly<Record<ScriptName, CommandKey>> = {
  up: 'up',
  down: 'down',
  'route-up': 'routeUp',
  'route-pre-down': 'routePreDown',
  ipchange: 'ipchange',
};
const NAMES = Object.keys(KEYS) as readonly ScriptName[];

/** Level from which on stock runs scripts of the operator. */
const ALLOWED = 2;
const STOCK_LEVEL = 1;

function command(drafts: readonly Draft[], name: ScriptName, findings: Findings): ScriptCommand | undefined {
  const value = agreed(drafts, KEYS[name], name, findings);
  const draft = drafts.find(({ settings }) => settings[KEYS[name]] !== undefined);
  const where = draft?.settings[KEYS[name]]?.where;
  if (value === undefined || draft === undefined || where === undefined) return undefined;
  const [file] = value.words;
  return { ...value, program: isAbsolute(file) ? file : resolve(draft.directory, file), where };
}

/** Stock does not start without the right to run `up`; other scripts it leaves out with a warning. */
function checkSecurity(commands: ScriptsConfig['commands'], findings: Findings): void {
  for (const name of NAMES) {
    const where = commands[name]?.where;
    if (where === undefined) continue;
    const why = 'scripts are run only with `script-security 2` or higher';
    const advice = { why, fix: 'script-security 2' };
    if (name === 'up') refuse(findings, where, 'CONFIG_SCRIPT_SECURITY', '`up` may not be run', advice);
    else warn(findings, where, 'CONFIG_SCRIPT_SECURITY', `\`${name}\` will not be run`, advice);
  }
}

function joinDns(drafts: readonly Draft[], findings: Findings): ScriptsConfig['dns'] {
  for (const draft of drafts) {
    const bare = serverWithoutAddress(draft);
    if (bare !== undefined) refuse(findings, bare.where, 'CONFIG_DNS', bare.what, { fix: bare.fix });
  }
  return {
    searchDomains: drafts.flatMap(({ dnsSearchDomains }) => dnsSearchDomains),
    servers: drafts.flatMap(({ dnsServers }) => dnsServers).toSorted((a, b) => a.priority - b.priority),
  };
}

/** Records contradictions between files and scripts that may not be run. */
export function joinScripts(drafts: readonly Draft[], findings: Findings): ScriptsConfig {
  const security = agreed(drafts, 'scriptSecurity', 'script-security', findings) ?? STOCK_LEVEL;
  const commands = Object.fromEntries(
    NAMES.flatMap((name) => {
      const found = command(drafts, name, findings);
      return found === undefined ? [] : [[name, found]];
    }),
  ) as ScriptsConfig['commands'];
  if (security < ALLOWED) checkSecurity(commands, findings);
  const some = (key: 'upDelay' | 'upRestart' | 'downPre') =>
    drafts.some(({ settings }) => settings[key] !== undefined);
  return {
    security,
    directory: drafts[0].changesDirectory ? drafts[0].directory : undefined,
    commands: security < ALLOWED ? {} : commands,
    upDelay: some('upDelay'),
    upRestart: some('upRestart'),
    downPre: some('downPre'),
    environment: drafts.flatMap(({ environment }) => environment.map(({ value }) => value)),
    dhcpOptions: drafts.flatMap(({ dhcpOptions }) => dhcpOptions),
    dns: joinDns(drafts, findings),
  };
}
