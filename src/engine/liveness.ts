/**
 * The timers of one peer (OpenVPN's ping, ping-restart, ping-exit, inactive and session-timeout). All times are
 * monotonic milliseconds; a timer that is off is due at Infinity.
 */
import type { PeerSettings } from './messages.ts';

export class Liveness {
  /** Every datagram sent restarts the ping timer. */
  lastSentMs = 0;
  /** Every valid payload received restarts the ping-restart timer. */
  lastReceivedMs = 0;
  private readonly settings: PeerSettings;
  private pinged = false;
  private activityMs = 0;
  private activityBytes = 0;
  private sessionStartMs = 0;

  constructor(settings: PeerSettings) {
    this.settings = settings;
  }

  start(nowMs: number): void {
    this.pinged = false;
    this.lastSentMs = nowMs;
    this.lastReceivedMs = nowMs;
    this.activityMs = nowMs;
    if (this.sessionStartMs === 0) this.sessionStartMs = nowMs;
  }

  sent(nowMs: number): void {
    this.lastSentMs = nowMs;
    this.pinged = true;
  }

  /** `inactive`: tunnel traffic of `bytes` since the last call; enough of it restarts the timer. */
  activity(bytes: number, nowMs: number): void {
    this.activityBytes += bytes;
    if (bytes === 0 || this.activityBytes < this.settings.inactiveBytes) return;
    this.activityBytes = 0;
    this.activityMs = nowMs;
  }

  /** When the next ping is due: at once after a start, then after a silence of ours. */
  pingDueMs(): number {
    if (this.settings.pingSec === 0) return Infinity;
    return this.pinged ? this.lastSentMs + this.settings.pingSec * 1000 : this.lastSentMs;
  }

  /** When the peer counts as lost. */
  timeoutDueMs(remoteKnown: boolean): number {
    const { pingTimeoutSec, pingTimerNeedsRemote } = this.settings;
    if (pingTimeoutSec === 0 || (pingTimerNeedsRemote && !remoteKnown)) return Infinity;
    return this.lastReceivedMs + pingTimeoutSec * 1000;
  }

  inactiveDueMs(): number {
    return this.settings.inactiveSec === 0 ? Infinity : this.activityMs + this.settings.inactiveSec * 1000;
  }

  sessionDueMs(): number {
    return this.settings.sessionTimeoutSec === 0
      ? Infinity
      : this.sessionStartMs + this.settings.sessionTimeoutSec * 1000;
  }
}
