/** syslog(3), as the C library writes it: one datagram to /dev/log for each line. */
import { existsSync } from 'node:fs';
import { openUnixDatagrams } from './unix-datagram.ts';

const SOCKET = '/dev/log';
/** LOG_DAEMON. */
const FACILITY = 3 << 3;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Writes a line; `priority` 0..7 (LOG_EMERG..LOG_DEBUG). */
export type Syslog = (priority: number, text: string) => void;

/** `<28>Nov 22 05:43:08 tsvpn[123]: text`; the name of the host is the receiver's to add. */
function syslogLine(name: string, pid: number, priority: number, now: Date, text: string): string {
  const day = String(now.getDate()).padStart(2);
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
  return `<${FACILITY | priority}>${MONTHS[now.getMonth()]} ${day} ${time} ${name}[${pid}]: ${text}`;
}

export function hasSyslog(path = SOCKET): boolean {
  return existsSync(path);
}

/** Undefined when this host has no syslog. A line that cannot be delivered is lost, as everybody's. */
export function openSyslog(name: string, path = SOCKET): Syslog | undefined {
  if (!hasSyslog(path)) return undefined;
  const datagrams = openUnixDatagrams(path);
  return (priority, text) => {
    datagrams.send(syslogLine(name, process.pid, priority, new Date(), text));
  };
}
