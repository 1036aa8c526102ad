/** What a process has used so far, from /proc (proc_pid_stat(5), proc_pid_status(5)). */
import { readFileSync } from 'node:fs';

/** Clock ticks per second; 100 on every Linux that Node runs on. */
const USER_HZ = 100;

/** CPU seconds of all threads, user and system, in steps of 10 ms. Kernel work done on their behalf counts. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name in parentheses may contain anything; utime and stime are fields 14 and 15, the state is field 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / USER_HZ;
}

/** Peak resident set size, bytes. */
export function peakRss(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}
