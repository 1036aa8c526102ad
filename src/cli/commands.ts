/** The commands, in the order of `tsvpn --help`. */
import { bench } from './bench.ts';
import { check } from './check.ts';
import { cleanup } from './cleanup.ts';
import type { Command } from './command.ts';
import { down } from './down.ts';
import { genkey } from './genkey.ts';
import { helpCommand } from './help-command.ts';
import { init } from './init.ts';
import { lab } from './lab.ts';
import { mtu } from './mtu.ts';
import { nat } from './nat.ts';
import { reload } from './reload.ts';
import { restart } from './restart.ts';
import { route } from './route.ts';
import { status } from './status.ts';
import { trace } from './trace.ts';
import { up } from './up.ts';
import { version } from './version.ts';

const WORKING_COMMANDS: readonly Command[] = [
  lab,
  init,
  check,
  up,
  down,
  status,
  route,
  trace,
  nat,
  mtu,
  reload,
  restart,
  genkey,
  bench,
  cleanup,
  version,
];

export const COMMANDS: readonly Command[] = [...WORKING_COMMANDS, helpCommand(WORKING_COMMANDS)];
