/**
 * Which remote comes next (OpenVPN's rules): entries in the config's order, wrapping; a host name's addresses are
 * walked one by one before the next entry. UDP never fails by itself, so only a restart advances, and the first restart
 * after a session that worked tries the same address again.
 */
import { isIP } from 'node:net';
import type { Remote } from '../config/model.ts';
import type { Resolver } from './resolver.ts';

export interface ResolvedRemote {
  readonly remote: Remote;
  /** All addresses of the remote that fit the socket's family, the one to use first. */
  readonly addresses: readonly string[];
  readonly family: 4 | 6;
}

export class RemoteList {
  private readonly remotes: readonly Remote[];
  private readonly resolve: Resolver;
  private entry = 0;
  private replacement: Pick<Remote, 'host' | 'port'> | undefined;
  private address = 0;
  private addressesOfEntry = 1;
  private worked = false;
  /** Rounds through the whole list without a working session (`connect-retry-max`). */
  failedRounds = 0;

  constructor(remotes: readonly Remote[], resolve: Resolver) {
    this.remotes = remotes;
    this.resolve = resolve;
  }

  /** The remote to use now; undefined when the config has none (wait for a peer). Rejects when it cannot be resolved. */
  async current(): Promise<ResolvedRemote | undefined> {
    if (this.remotes.length === 0) return undefined;
    const remote = { ...this.remotes[this.entry], ...this.replacement };
    const addresses = await this.resolve(remote.host, remote.family);
    if (addresses.length === 0) throw new Error('no address of the wanted family');
    this.addressesOfEntry = addresses.length;
    const first = this.address % addresses.length;
    const rotated = [...addresses.slice(first), ...addresses.slice(0, first)];
    const family = isIP(rotated[0].split('%')[0]) as 4 | 6;
    return { remote, family, addresses: rotated.filter((address) => isIP(address.split('%')[0]) === family) };
  }

  /** The entry whose turn it is; undefined when the config has no remote. */
  get next(): Remote | undefined {
    return this.remotes.at(this.entry);
  }

  /** A name has to be looked up. */
  get isName(): boolean {
    const host = this.replacement?.host ?? this.next?.host;
    return host !== undefined && isIP(host.split('%')[0]) === 0;
  }

  /** The next one of the list in its place, without a look at its other addresses. */
  skip(): void {
    this.address = 0;
    this.addressesOfEntry = 1;
    this.entry = (this.entry + 1) % Math.max(1, this.remotes.length);
  }

  /** Look this up in the place of the current entry; undefined to go back to that. */
  replace(target: Pick<Remote, 'host' | 'port'> | undefined): void {
    if (target !== undefined) this.address = 0;
    this.replacement = target;
  }

  /** The session with the current remote came up. */
  succeeded(): void {
    this.worked = true;
    this.failedRounds = 0;
  }

  /** Moves on, unless the session had worked: then the same address gets one more try. */
  advance(): void {
    if (this.worked) {
      this.worked = false;
      return;
    }
    this.address++;
    if (this.address < this.addressesOfEntry) return;
    this.address = 0;
    this.addressesOfEntry = 1;
    this.entry = (this.entry + 1) % Math.max(1, this.remotes.length);
    if (this.entry === 0) this.failedRounds++;
  }
}
