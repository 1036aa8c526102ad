import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../support/temp-dir.ts';

const { taskLimit } = createRequire(import.meta.url)('../../bin/task-limit.js') as {
  taskLimit: (root: string) => number;
};

const UNIT = '/system.slice/openvpn@site.service';

test.each<[string, Record<string, string>, number]>([
  [
    'TasksMax= of a unit',
    { 'proc/self/cgroup': `0::${UNIT}\n`, [`sys/fs/cgroup${UNIT}/pids.max`]: '10\n' },
    10,
  ],
  [
    'the same with the older hierarchies',
    {
      'proc/self/cgroup': `5:pids:${UNIT}\n1:name=systemd:${UNIT}\n0::${UNIT}\n`,
      [`sys/fs/cgroup/pids${UNIT}/pids.max`]: '12\n',
    },
    12,
  ],
  [
    'the lower of TasksMax= and LimitNPROC=',
    {
      'proc/self/cgroup': `0::${UNIT}\n`,
      [`sys/fs/cgroup${UNIT}/pids.max`]: '20\n',
      'proc/self/limits':
        'Limit  Soft  Hard  Units\nMax processes             15                   15     processes \n',
    },
    15,
  ],
  [
    'none',
    {
      'proc/self/cgroup': '0::/\n',
      'sys/fs/cgroup/pids.max': 'max\n',
      'proc/self/limits': 'Max processes             unlimited            unlimited     processes \n',
    },
    Infinity,
  ],
  ['none where nothing can be read', {}, Infinity],
])('reads the limit of tasks: %s', (_row, files, expected) => {
  const root = tempDir();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  expect(taskLimit(root)).toBe(expected);
});
