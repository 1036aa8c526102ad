// How many tasks this process may be part of: processes and threads. The program's first file, in JavaScript that any Node knows.
'use strict';
const { readFileSync } = require('fs');
const { join } = require('path');

/** The limit that systemd's TasksMax= or LimitNPROC= have set; Infinity without. `root` is that of the file system. */
function taskLimit(root) {
  const number = (pattern, file) => Number((pattern.exec(read(join(root, file))) || [])[1] || Infinity);
  // `0::/system.slice/x.service`, or of the older kind `5:pids:/system.slice/x.service`.
  const groups = read(join(root, 'proc/self/cgroup')).split('\n');
  const limits = groups.map((line) => {
    const [, controller, path] = /^\d+:(pids|):(\/.*)$/.exec(line) || [];
    return path === undefined ? Infinity : number(/^(\d+)/, join('sys/fs/cgroup', controller, path, 'pids.max'));
  });
  return Math.min(number(/^Max processes\s+(\d+)/m, 'proc/self/limits'), ...limits);
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

module.exports = { taskLimit };
