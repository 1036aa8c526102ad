// How many tasks this process may be part of: processes and threads. The program's first file, in JavaScript that any Node knows.
'use strict';
const fs = require('fs');
const path = require('path');

/** The limit that systemd's TasksMax= or LimitNPROC= have set; Infinity without. `root` is that of the file system. */
function taskLimit(root) {
  const number = (pattern, file) => Number((pattern.exec(read(path.join(root, file))) || [])[1] || Infinity);
  // `0::/system.slice/x.service`, or of the older kind `5:pids:/system.slice/x.service`.
  const groups = read(path.join(root, 'proc/self/cgroup')).split('\n');
  const limits = groups.map((line) => {
    const [, controller, group] = /^\d+:(pids|):(\/.*)$/.exec(line) || [];
    return group === undefined
      ? Infinity
      : number(/^(\d+)/, path.join('sys/fs/cgroup', controller, group, 'pids.max'));
  });
  return Math.min(number(/^Max processes\s+(\d+)/m, 'proc/self/limits'), ...limits);
}

function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

module.exports = { taskLimit };
