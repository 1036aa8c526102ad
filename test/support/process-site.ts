/** A site whose process is looked at, and a stock peer; to be used inside a describe block. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { startGateway, writeKey, type Implementation } from './gateway.ts';
import { staticKeyText } from './keys.ts';
import type { Daemon } from './process.ts';
import { createLink, OUTER, type Link } from './topology.ts';

/** Both ends read the same key. */
const KEY = Uint8Array.from({ length: 256 }, (_, i) => (i * 37 + 11) & 0xff);

export class ProcessSite {
  link!: Link;
  /** What the namespace of the site had before. */
  before = '';

  constructor() {
    beforeEach(async () => {
      this.link = await createLink();
      this.before = await this.link.a.snapshot();
    });
    afterEach(() => this.link.destroy());
  }

  inFolder(name: string): string {
    return join(this.link.folder, name);
  }

  read(name: string): string {
    return readFileSync(this.inFolder(name), 'utf8');
  }

  pid(): number {
    return Number(this.read('site.pid'));
  }

  /** Makes an executable file and returns its path. */
  script(name: string, body: string): string {
    writeFileSync(this.inFolder(name), `#!/bin/sh\nPATH=/usr/bin:/bin\n${body}\n`, { mode: 0o755 });
    return this.inFolder(name);
  }

  config(...lines: readonly string[]): string {
    const key = writeKey(this.link, 'static.key', staticKeyText(KEY));
    const common = [`secret ${key}`, 'cipher AES-256-CBC', 'auth SHA256', 'ping 1', 'verb 3'];
    const device = ['dev tun0', 'ifconfig 10.4.0.1 10.4.0.2', `remote ${OUTER.b.ipv4}`];
    return [...device, ...common, ...lines].join('\n');
  }

  start(implementation: Implementation, ...lines: readonly string[]): Daemon {
    const { link } = this;
    return startGateway(link, link.a, { implementation, name: 'site', config: this.config(...lines) });
  }

  /** Stock at the other end, which waits to be called. */
  startPeer(...lines: readonly string[]): Daemon {
    const config = this.config(...lines)
      .replace('10.4.0.1 10.4.0.2', '10.4.0.2 10.4.0.1')
      .replace(/^remote .*\n/m, '');
    return startGateway(this.link, this.link.b, { implementation: 'openvpn', name: 'peer', config });
  }
}
