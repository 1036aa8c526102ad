import { describe, expect, it } from 'vitest';
import { resolverFor, type Resolver } from '../../src/gateway/resolver.ts';
import { configOf } from '../support/config.ts';

/** Writes down what it is asked for; answers 192.0.2.N, another one each time, but for names that begin with `no`. */
function recorder() {
  const asked: string[] = [];
  const system: Resolver = (host) => {
    asked.push(host);
    return host.startsWith('no') && asked.length < 3
      ? Promise.reject(new Error('ENOTFOUND'))
      : Promise.resolve([`192.0.2.${asked.length}`]);
  };
  return { asked, system };
}

describe('remote-random-hostname', () => {
  const config = configOf(['remote vpn.example', 'remote-random-hostname']);

  it('puts a label of 12 hex digits in front of a name, another one each time', async () => {
    const { asked, system } = recorder();
    const resolve = resolverFor(config, system);
    await resolve('vpn.example', 'any');
    await resolve('vpn.example', 'any');
    expect(asked).toEqual([
      expect.stringMatching(/^[0-9a-f]{12}\.vpn\.example$/),
      expect.stringMatching(/^[0-9a-f]{12}\.vpn\.example$/),
    ]);
    expect(asked[0]).not.toBe(asked[1]);
  });

  it.each(['192.0.2.1', '2001:db8::1', 'fe80::1%eth0'])('leaves an address alone: %s', async (address) => {
    const { asked, system } = recorder();
    await resolverFor(config, system)(address, 'any');
    expect(asked).toEqual([address]);
  });
});

describe('preresolve', () => {
  it('looks up all remotes with the first, and none again', async () => {
    const { asked, system } = recorder();
    const resolve = resolverFor(configOf(['remote one', 'remote two', 'preresolve']), system);
    expect(await resolve('one', 'any')).toEqual(['192.0.2.1']);
    expect(asked).toEqual(['one', 'two']);
    expect(await resolve('two', 'any')).toEqual(['192.0.2.2']);
    expect(await resolve('one', 'any')).toEqual(['192.0.2.1']);
    expect(asked).toEqual(['one', 'two']);
  });

  it('looks up a name that failed when its turn comes', async () => {
    const { asked, system } = recorder();
    const resolve = resolverFor(configOf(['remote one', 'remote no', 'preresolve']), system);
    await resolve('one', 'any');
    expect(await resolve('no', 'any')).toEqual(['192.0.2.3']);
    expect(asked).toEqual(['one', 'no', 'no']);
  });

  it('is off without the line', async () => {
    const { asked, system } = recorder();
    const resolve = resolverFor(configOf(['remote one', 'remote two']), system);
    await resolve('one', 'any');
    await resolve('one', 'any');
    expect(asked).toEqual(['one', 'one']);
  });
});
