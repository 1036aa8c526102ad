import { describe, expect, it } from 'vitest';
import type { Remote } from '../../src/config/model.ts';
import { RemoteList } from '../../src/gateway/remotes.ts';
import type { Resolver } from '../../src/gateway/resolver.ts';

const WHERE = { file: 'peer.conf', line: 1, column: 1 };

function remotes(...hosts: string[]): Remote[] {
  return hosts.map((host) => ({
    host,
    port: 1194,
    protocol: 'udp' as const,
    family: 'any' as const,
    where: WHERE,
  }));
}

const NAMES: Readonly<Record<string, string[]>> = {
  one: ['192.0.2.1'],
  two: ['192.0.2.21', '192.0.2.22'],
  both: ['2001:db8::1', '192.0.2.3'],
};
const resolver: Resolver = async (host) => NAMES[host] ?? [];

async function first(list: RemoteList): Promise<string | undefined> {
  return (await list.current())?.addresses[0];
}

describe('a list of remotes', () => {
  it('is walked in order, address by address, and starts over', async () => {
    const list = new RemoteList(remotes('one', 'two'), resolver);
    const walked: (string | undefined)[] = [];
    for (let i = 0; i < 4; i++) {
      walked.push(await first(list));
      list.advance();
    }
    expect(walked).toEqual(['192.0.2.1', '192.0.2.21', '192.0.2.22', '192.0.2.1']);
  });

  it('stays where a session worked for one more try', async () => {
    const list = new RemoteList(remotes('one', 'two'), resolver);
    await first(list);
    list.succeeded();
    list.advance();
    expect(await first(list)).toBe('192.0.2.1');
    list.advance();
    expect(await first(list)).toBe('192.0.2.21');
  });

  it('counts the rounds without a session, and forgets them with one', async () => {
    const list = new RemoteList(remotes('one'), resolver);
    for (let i = 0; i < 3; i++) {
      await first(list);
      list.advance();
    }
    expect(list.failedRounds).toBe(3);
    list.succeeded();
    expect(list.failedRounds).toBe(0);
  });

  it('accepts datagrams from the addresses of one family only: a socket has one', async () => {
    const list = new RemoteList(remotes('both'), resolver);
    expect(await list.current()).toMatchObject({ family: 6, addresses: ['2001:db8::1'] });
    list.advance();
    expect(await list.current()).toMatchObject({ family: 4, addresses: ['192.0.2.3'] });
  });

  it('without remotes there is nobody to send to', async () => {
    expect(await new RemoteList([], resolver).current()).toBeUndefined();
  });

  it('a name without addresses is not resolved', async () => {
    await expect(new RemoteList(remotes('none'), resolver).current()).rejects.toThrow('no address');
  });

  it('passes over an entry with all its addresses, and counts no round for it', async () => {
    const list = new RemoteList(remotes('both', 'one'), resolver);
    await list.current();
    list.skip();
    expect(list.next?.host).toBe('one');
    list.skip();
    expect(list.next?.host).toBe('both');
    expect(list.failedRounds).toBe(0);
  });

  it('looks up what replaces an entry, once, and names the entry itself', async () => {
    const list = new RemoteList(remotes('192.0.2.99'), resolver);
    expect(list.isName).toBe(false);
    list.replace({ host: 'one', port: 443 });
    expect(list.isName).toBe(true);
    expect(await list.current()).toMatchObject({ remote: { host: 'one', port: 443 } });
    expect(list.next).toMatchObject({ host: '192.0.2.99' });
    list.replace(undefined);
    expect(list.isName).toBe(false);
  });
});
