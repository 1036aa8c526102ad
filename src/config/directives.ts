/** The directive table: every directive OpenVPN knows, by section and by name. */
import { CRYPTO } from './directives/crypto.ts';
import { DEVICE } from './directives/device.ts';
import { MANAGEMENT } from './directives/management.ts';
import { MTU } from './directives/mtu.ts';
import { NAT } from './directives/nat.ts';
import { PROCESS } from './directives/process.ts';
import { ROUTING } from './directives/routing.ts';
import { SCRIPTS } from './directives/scripts.ts';
import type { DirectiveSpec, Section } from './directives/spec.ts';
import { TIMERS } from './directives/timers.ts';
import { TLS_AND_SERVER, WINDOWS_ONLY } from './directives/tls.ts';
import { TRANSPORT } from './directives/transport.ts';
import { nearest } from './nearest.ts';

export const SECTIONS: readonly Section[] = [
  CRYPTO,
  TRANSPORT,
  TIMERS,
  MTU,
  DEVICE,
  ROUTING,
  NAT,
  PROCESS,
  MANAGEMENT,
  SCRIPTS,
  TLS_AND_SERVER,
  WINDOWS_ONLY,
];

const byName = new Map<string, DirectiveSpec>();
for (const section of SECTIONS) {
  for (const spec of section.directives) {
    for (const name of [spec.name, ...spec.aliases]) {
      if (byName.has(name)) throw new Error(`directive ${name} is in the table twice`);
      byName.set(name, spec);
    }
  }
}

const PREFERENCE: readonly string[] = ['supported', 'ignored', 'refused'];
/** All names, those of supported directives first, so that they win when two are equally near. */
const NAMES: readonly string[] = [...byName.entries()]
  .sort(([, a], [, b]) => PREFERENCE.indexOf(a.answer.status) - PREFERENCE.indexOf(b.answer.status))
  .map(([name]) => name);

export function directiveNames(): readonly string[] {
  return NAMES;
}

export function findDirective(name: string): DirectiveSpec | undefined {
  return byName.get(name);
}

/** The directive `name` was probably meant to be. */
export function nearestDirective(name: string): string | undefined {
  return nearest(name, NAMES);
}
