import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ScriptMoment } from '../../src/gateway/script-environment.ts';
import { Scripts } from '../../src/gateway/scripts.ts';
import { gatewayOf } from '../support/config.ts';
import { testLog } from '../support/log.ts';

const PROCESS = { pid: 42, startTime: 1, daemon: false, logRedirect: false };

describe('running scripts', () => {
  let folder: string;
  let logged: string[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tsvpn-scripts-'));
    logged = [];
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function script(name: string, body: string): string {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    return path;
  }
  function run(lines: readonly string[], more: Partial<ScriptMoment> = {}, timeLimitMs = 10_000) {
    const scripts = new Scripts({ process: PROCESS, log: testLog(logged), timeLimitMs });
    const config = gatewayOf(['script-security 2', `cd ${folder}`, ...lines]);
    const moment: ScriptMoment = {
      name: 'up',
      context: 'init',
      device: 'tun0',
      routed: false,
      gateways: { ipv4: undefined, ipv6: undefined },
      trusted: undefined,
      ...more,
    };
    return { scripts, config, moment, result: scripts.run(config, moment) };
  }
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');

  it('hands over arguments as they are: no shell looks at them', async () => {
    script('args', `printf '<%s>' "$@" > out`);
    expect(await run([`up "args '$(id) *;' \\"a  b\\""`]).result).toBeUndefined();
    expect(read('out')).toBe('<$(id) *;><a  b><tun0><1500><0><10.254.0.1><10.254.0.2><init>');
    expect(logged).toEqual(['args $(id) *; a  b tun0 1500 0 10.254.0.1 10.254.0.2 init']);
  });

  it('gives nothing of its own environment away', async () => {
    script('vars', '/usr/bin/env > out');
    process.env.TSVPN_TEST_SECRET = 'x';
    await run(['up vars']).result;
    delete process.env.TSVPN_TEST_SECRET;
    expect(read('out')).toContain('script_type=up\n');
    expect(read('out')).not.toMatch(/^(?:HOME|TSVPN_TEST_SECRET)=/m);
  });

  it.each([
    ['an exit status', 'exit 3', /external program exited with error status: 3/],
    ['a signal', 'kill -9 $$', /did not exit normally \(SIGKILL\)/],
  ])('reports %s in words of OpenVPN', async (_, body, why) => {
    script('fails', body);
    const error = await run(['up fails']).result;
    expect(error).toMatchObject({ code: 'SCRIPT_FAILED', why: expect.stringMatching(why) as string });
    expect(logged[1]).toMatch(/^WARNING: Failed running command \(--up\/--down\): external program/);
  });

  it('reports a program that is not there', async () => {
    expect((await run(['up nothing']).result)?.why).toMatch(/could not execute external program/);
  });

  it('ends a script that hangs', async () => {
    script('hangs', 'exec /bin/sleep 100');
    expect((await run(['up hangs'], {}, 200).result)?.why).toBe('external program was ended after 0.2 s');
  });

  it('does not wait for what a script leaves running', async () => {
    script('leaves', '/bin/sleep 100 & echo $! > pid');
    expect(await run(['up leaves']).result).toBeUndefined();
    // Which throws when it has ended.
    process.kill(Number(read('pid')));
  });

  it('runs one after the other', async () => {
    script('slow', '/bin/sleep 0.2; echo up >> out');
    script('fast', 'echo down >> out');
    const { scripts, config, moment, result } = run(['up slow', 'down fast']);
    await Promise.all([result, scripts.run(config, { ...moment, name: 'down' })]);
    expect(read('out')).toBe('up\ndown\n');
  });
});
