/** Names to addresses: the system's resolver, and what `remote-random-hostname` and `preresolve` make of it. */
import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { AddressFamily, PeerConfig, Remote } from '../config/model.ts';

/** Resolves a host to literal addresses of the wanted family; rejects when there are none. */
export type Resolver = (host: string, family: AddressFamily) => Promise<string[]>;

/** Bytes of the label, which shows them in hex; as many as stock's. */
const RANDOM_LABEL_BYTES = 6;

export function isAddress(host: string): boolean {
  return isIP(host.split('%')[0]) !== 0;
}

const systemResolver: Resolver = async (host, family) => {
  if (isAddress(host)) return [host];
  const wanted = { any: 0, ipv4: 4, ipv6: 6 }[family];
  const found = await lookup(host, { all: true, family: wanted });
  return found.map(({ address }) => address);
};

/** `remote-random-hostname`: a label nobody has asked for before, so that no cache answers. */
function withRandomLabel(resolve: Resolver): Resolver {
  return (host, family) => {
    const label = randomBytes(RANDOM_LABEL_BYTES).toString('hex');
    return resolve(isAddress(host) ? host : `${label}.${host}`, family);
  };
}

/** `preresolve`: all names are asked for with the first, and not again; those that failed are when their turn comes. */
function inAdvance(resolve: Resolver, remotes: readonly Remote[]): Resolver {
  const key = (host: string, family: AddressFamily) => `${family} ${host}`;
  const known = new Map<string, string[]>();
  let first: Promise<unknown> | undefined;
  const ask = async (host: string, family: AddressFamily) => {
    const addresses = await resolve(host, family);
    known.set(key(host, family), addresses);
    return addresses;
  };
  return async (host, family) => {
    first ??= Promise.allSettled(remotes.map((remote) => ask(remote.host, remote.family)));
    await first;
    return known.get(key(host, family)) ?? ask(host, family);
  };
}

export function resolverFor({ transport }: PeerConfig, system: Resolver = systemResolver): Resolver {
  const resolve = transport.remoteRandomHostname ? withRandomLabel(system) : system;
  return transport.preresolve ? inAdvance(resolve, transport.remotes) : resolve;
}
