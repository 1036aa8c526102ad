/** The sessions of a gateway, by name and by the index the data plane knows them by. */
import type { PeerConfig } from '../config/model.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import { MAX_PEERS } from '../packet/zone.ts';
import { peerIdentity } from './difference.ts';
import { PeerSession, type SessionContext } from './peer-session.ts';
import { unknownPeer, type PeerIndexes } from './routing.ts';

export class Peers {
  private readonly context: SessionContext;
  /** In the order of the config. */
  private sessions: PeerSession[] = [];
  /** Leaving ones among them: their indexes are not free yet. */
  private readonly byIndex = new Map<number, PeerSession>();

  private nextIndex = 0;

  constructor(context: SessionContext) {
    this.context = context;
  }

  get list(): readonly PeerSession[] {
    return this.sessions;
  }

  /** Those that have not ended, and are not about to. */
  get living(): readonly PeerSession[] {
    return this.sessions.filter(({ isLeaving }) => !isLeaving);
  }

  at(index: number): PeerSession | undefined {
    return this.byIndex.get(index);
  }

  /** Throws OperatorError for a name that no peer has. */
  named(name: string): PeerSession {
    const found = this.sessions.find((session) => session.name === name);
    if (found === undefined) throw unknownPeer(name, this.indexes());
    return found;
  }

  indexes(): PeerIndexes {
    return new Map(this.sessions.map(({ name, index }) => [name, index]));
  }

  isUsable(name: string): boolean {
    return this.sessions.find((session) => session.name === name)?.isUsable ?? false;
  }

  /** Makes the peer known to the data plane; `connect` is the caller's. The key stays the caller's, too. */
  add(config: PeerConfig, key: Uint8Array): PeerSession {
    const identity = peerIdentity(config, key);
    const session = new PeerSession({ index: this.freeIndex(), config, key, identity }, this.context);
    this.byIndex.set(session.index, session);
    this.sessions.push(session);
    return session;
  }

  /** Resolves when the data plane has forgotten the peer. */
  async remove(session: PeerSession): Promise<void> {
    this.sessions = this.sessions.filter((other) => other !== session);
    await session.remove();
    this.byIndex.delete(session.index);
  }

  /** Takes over what lies behind the peers, and their order. */
  reconfigure(configs: readonly PeerConfig[]): void {
    const place = new Map(configs.map((config, at) => [config.name, at]));
    for (const session of this.sessions) session.config = configs[place.get(session.name)!];
    this.sessions.sort((a, b) => place.get(a.name)! - place.get(b.name)!);
  }

  private freeIndex(): number {
    // Sessions and counters of a peer that has gone may still name its index: the longest unused comes next.
    for (let tried = 0; tried < MAX_PEERS; tried++) {
      const index = this.nextIndex;
      this.nextIndex = (this.nextIndex + 1) % MAX_PEERS;
      if (!this.byIndex.has(index)) return index;
    }
    throw new OperatorError({
      code: 'TOO_MANY_PEERS',
      what: `one process has at most ${MAX_PEERS} peers`,
      fix: 'divide them among several processes',
      exitCode: ExitCode.Usage,
    });
  }
}
