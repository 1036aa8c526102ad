/**
 * A peer that sends what it likes: it has the key of a spoke, whose own end does not run, and no kernel between it and
 * the tunnel that would keep it from lying. Without key direction; the hub's block has `float`, for each call is another
 * socket.
 */
import { join } from 'node:path';
import { writeKey } from './gateway.ts';
import { staticKeyText } from './keys.ts';
import { idAndPayload, seal } from './seal.ts';
import { HUB, ownPort, type Spoke, type Star } from './star.ts';

const SENDER = join(import.meta.dirname, 'send-datagrams.mjs');

export class Rogue {
  /** For the hub's `secret` line. */
  readonly secret: string;
  private readonly key = crypto.getRandomValues(new Uint8Array(256));
  private readonly spoke: Spoke;
  private readonly epoch = Math.floor(Date.now() / 1000);
  private id = 0;

  constructor(star: Star, spoke: Spoke) {
    this.spoke = spoke;
    this.secret = writeKey(star, `rogue-${spoke.name}.key`, staticKeyText(this.key));
  }

  /** Sends packets through the tunnel, whatever they are. */
  async send(...packets: readonly Uint8Array[]): Promise<void> {
    const lines = packets.map((payload) => {
      const plaintext = idAndPayload({ id: ++this.id, time: this.epoch, payload });
      return `${seal(this.key, plaintext).toString('hex')}\n`;
    });
    const words = [process.execPath, SENDER, HUB.outer, String(ownPort(this.spoke))];
    await this.spoke.namespace.mustRun(words, { input: lines.join('') });
  }
}
