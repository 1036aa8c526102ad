/** sd_notify(3): tells systemd (`Type=notify`) how the process is doing. Without NOTIFY_SOCKET nobody asks. */
import { openUnixDatagrams } from './unix-datagram.ts';

export function notifySystemd(env: NodeJS.ProcessEnv, ...states: readonly string[]): void {
  if (!env.NOTIFY_SOCKET) return;
  try {
    const datagrams = openUnixDatagrams(env.NOTIFY_SOCKET);
    datagrams.send(states.join('\n'));
    datagrams.close();
  } catch {
    // Whoever asked has gone away.
  }
}
