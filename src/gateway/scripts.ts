/**
 * Runs the operator's scripts, one at a time, as OpenVPN does: directly, with its arguments and environment. The main thread
 * waits without blocking; packets move on meanwhile.
 */
import { spawn } from 'node:child_process';
import type { GatewayConfig, ScriptCommand, ScriptName } from '../config/model.ts';
import type { Logger } from '../control/log.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import {
  scriptArguments,
  scriptEnvironment,
  type Environment,
  type ScriptMoment,
  type ScriptProcess,
} from './script-environment.ts';

/** A script gets so long, and then so long to obey SIGTERM, milliseconds. Stock would wait for ever. */
const TIME_LIMIT_MS = 60_000;
const KILL_AFTER_MS = 2000;

/** As stock's messages name them. */
const OPTION: Readonly<Record<ScriptName, string>> = {
  up: '--up/--down',
  down: '--up/--down',
  'route-up': '--route-up',
  'route-pre-down': '--route-pre-down',
  ipchange: '--ipchange',
};

export interface ScriptsOptions {
  readonly process: ScriptProcess;
  readonly log: Logger;
  readonly timeLimitMs?: number;
}

export class Scripts {
  private readonly options: ScriptsOptions;
  private last: Promise<unknown> = Promise.resolve();

  constructor(options: ScriptsOptions) {
    this.options = options;
  }

  /** Runs the script of that name, if there is one, when those before it have ended. Its failure is logged and returned. */
  run(config: GatewayConfig, moment: ScriptMoment): Promise<OperatorError | undefined> {
    const command = config.scripts.commands[moment.name];
    if (command === undefined) return Promise.resolve(undefined);
    const next = this.last.then(() => this.runNow(config, command, moment));
    this.last = next;
    return next;
  }

  /** What `up` would be told, for who is no script. */
  environment(config: GatewayConfig, moment: Omit<ScriptMoment, 'name'>): Environment {
    const { script_type: _type, ...rest } = scriptEnvironment(config, this.options.process, {
      ...moment,
      name: 'up',
    });
    return rest;
  }

  private async runNow(
    config: GatewayConfig,
    command: ScriptCommand,
    moment: ScriptMoment,
  ): Promise<OperatorError | undefined> {
    const { log, timeLimitMs = TIME_LIMIT_MS } = this.options;
    const [program, ...own] = command.words;
    const args = [...own, ...scriptArguments(config, moment)];
    log.info([program, ...args].join(' '));
    const problem = await execute({
      program: command.program,
      argv0: program,
      args,
      cwd: config.scripts.directory ?? process.cwd(),
      env: scriptEnvironment(config, this.options.process, moment),
      timeLimitMs,
    });
    if (problem === undefined) return undefined;
    log.warn(`WARNING: Failed running command (${OPTION[moment.name]}): ${problem}`);
    return scriptFailed(moment.name, command, problem);
  }
}

interface Execution {
  readonly program: string;
  readonly argv0: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeLimitMs: number;
}

/** Resolves when the program has ended, whatever it has left running: with what went wrong, or undefined. */
function execute({ program, argv0, args, cwd, env, timeLimitMs }: Execution): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { argv0, cwd, env, stdio: ['ignore', 'inherit', 'inherit'] });
    let timedOut = false;
    let killer: NodeJS.Timeout | undefined;
    const limit = setTimeout(() => {
      timedOut = true;
      child.kill('SIGTERM');
      killer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
    }, timeLimitMs);
    const end = (problem: string | undefined) => {
      clearTimeout(limit);
      clearTimeout(killer);
      resolve(timedOut ? `external program was ended after ${timeLimitMs / 1000} s` : problem);
    };
    child.once('error', ({ message }) => end(`could not execute external program: ${message}`));
    child.once('exit', (code, signal) => {
      if (code === 0) end(undefined);
      else if (code === null) end(`external program did not exit normally (${signal})`);
      else end(`external program exited with error status: ${code}`);
    });
  });
}

function scriptFailed(name: ScriptName, { text, where }: ScriptCommand, why: string): OperatorError {
  return new OperatorError({
    code: 'SCRIPT_FAILED',
    what: `the script of \`${name}\` failed: ${text}`,
    why,
    fix: 'run it by hand with the arguments and variables of the log to see what is wrong',
    where,
    exitCode: ExitCode.Failure,
  });
}
