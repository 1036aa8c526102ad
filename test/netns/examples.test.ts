/** Check 44: the configs of examples/ load in stock OpenVPN; what is ours in them makes it warn at most. */
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXAMPLES, keyFilesOf } from '../support/examples.ts';
import { writeKey } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { createLab, type Lab, type Namespace } from '../support/netns.ts';

const configs = readdirSync(EXAMPLES, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.conf'),
);
/** Loaded, started, and ended by itself a second later, having changed nothing. */
const ONCE = ['--dev', 'null', '--ifconfig-noexec', '--route-noexec', '--nobind', '--inactive', '1'];
/** Tried after the remotes of the file, whose names nobody resolves here. */
const REMOTE = ['--remote', '127.0.0.1', '9'];

describe.concurrent('examples in stock OpenVPN', () => {
  let lab: Lab;
  let namespace: Namespace;
  beforeAll(async () => {
    lab = createLab();
    namespace = await lab.namespace('stock');
    cpSync(EXAMPLES, lab.folder, { recursive: true });
    for (const file of configs)
      for (const key of keyFilesOf(readFileSync(join(EXAMPLES, file), 'utf8')))
        writeKey(lab, join(file, '..', key), staticKeyText());
  });
  afterAll(() => lab.destroy());

  it.each(configs)('%s', async (file) => {
    const folder = join(lab.folder, file, '..');
    const words = ['openvpn', '--config', join(lab.folder, file), ...REMOTE, ...ONCE];
    const { stdout } = await namespace.run(words, { cwd: folder });
    expect(stdout).toContain('Inactivity timeout (--inactive), exiting');
    expect(stdout).not.toContain('Options error');
  });
});
