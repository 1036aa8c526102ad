/** A management interface without a gateway, at a socket in a folder of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { ManagementConfig } from '../../src/config/model.ts';
import type { RemoteEntry } from '../../src/control/overseer.ts';
import type { Traffic } from '../../src/control/status.ts';
import { Management, type Managed } from '../../src/management/management.ts';
import { ManagementClient } from './management-client.ts';
import { testLog } from './log.ts';

const count = (bytes: number) => ({ packets: 1, bytes });
const TRAFFIC: Traffic = {
  tunRead: count(656),
  tunWrite: count(656),
  udpRead: count(496),
  udpWrite: count(416),
  authReadBytes: 704,
  compression: null,
};

/** A process that does nothing and remembers what it was told. */
export class FakeProcess implements Managed {
  readonly mute = { limit: 0 };
  readonly raised: string[] = [];
  level = 3;
  started = true;
  entries: RemoteEntry[] = [
    { host: '192.0.2.2', port: 1194, proto: 'udp' },
    { host: '192.0.2.77', port: 1195, proto: 'udp' },
  ];

  traffic(): Traffic | undefined {
    return this.started ? TRAFFIC : undefined;
  }

  remotes(): readonly RemoteEntry[] | undefined {
    return this.started ? this.entries : undefined;
  }

  verb(): number {
    return this.level;
  }

  setVerb(level: number): void {
    this.level = level;
  }

  raise(signal: string): void {
    this.raised.push(signal);
  }
}

export interface Bench {
  readonly management: Management;
  readonly fake: FakeProcess;
  readonly path: string;
  /** Lines of the log. */
  readonly log: readonly string[];
  /** A client that has been greeted, unless it has to give a password. */
  readonly client: () => Promise<ManagementClient>;
}

export function managementConfig(changes: Partial<ManagementConfig> = {}): ManagementConfig {
  return {
    place: { kind: 'unix', path: '' },
    inTunnel: false,
    passwordFile: undefined,
    connects: false,
    clientUser: undefined,
    clientGroup: undefined,
    hold: false,
    logCache: 250,
    queryRemote: false,
    queryProxy: false,
    signal: false,
    upDown: false,
    echoes: [],
    where: { file: 'a.conf', line: 1, column: 1 },
    ...changes,
  };
}

/** Closed when the test is over. */
export async function openManagement(
  changes: Partial<ManagementConfig> = {},
  { password = '', fake = new FakeProcess() } = {},
): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), 'tsvpn-management-'));
  const path = join(folder, 'm.sock');
  const passwordFile = join(folder, 'pw');
  writeFileSync(passwordFile, `${password}\nsecond line\n`, { mode: 0o600 });
  const config = managementConfig({
    place: { kind: 'unix', path },
    passwordFile: password === '' ? undefined : passwordFile,
    ...changes,
  });
  const log: string[] = [];
  const logger = testLog(log, 'detail');
  const allowed = { uid: undefined, gid: undefined };
  const management = new Management({ config, managed: fake, allowed, log: logger });
  await management.open();
  const clients: ManagementClient[] = [];
  onTestFinished(async () => {
    for (const client of clients) client.destroy();
    await management.close();
    rmSync(folder, { recursive: true });
  });
  return {
    management,
    fake,
    path,
    log,
    async client() {
      const client = await ManagementClient.connect(path);
      clients.push(client);
      if (password === '') await client.until(/^>INFO:.*\r\n/);
      return client;
    },
  };
}
