/** Datagrams no honest peer sends: each is dropped under its own name, and the tunnel goes on. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { completed, prepareTunnel, stopTunnel, type Tunnel } from '../support/tunnel.ts';
import { tsvpn } from '../support/gateway.ts';
import { OUTER, useLink } from '../support/topology.ts';
import { authenticate, HMAC_BYTES, idAndPayload, IV_BYTES, PING, seal, sealBlocks } from '../support/seal.ts';
import { expectPing, expectTransfer } from '../support/traffic.ts';

const SENDER = join(import.meta.dirname, '../support/send-datagrams.mjs');
const YEAR_2100 = 4_102_444_800;

const key = randomBytes(256);
const fresh = { id: 1, time: YEAR_2100, payload: PING };
const valid = () => seal(key, idAndPayload(fresh));

function flipBit(datagram: Buffer, byte: number): Buffer {
  datagram[byte] ^= 1;
  return datagram;
}

const rows: readonly { title: string; reason: string; datagram: () => Uint8Array }[] = [
  { title: 'an empty datagram', reason: 'short', datagram: () => new Uint8Array(0) },
  { title: 'one byte', reason: 'short', datagram: () => Uint8Array.of(0x38) },
  { title: 'one byte less than an HMAC', reason: 'short', datagram: () => randomBytes(HMAC_BYTES - 1) },
  {
    title: 'HMAC and IV without ciphertext',
    reason: 'short',
    datagram: () => authenticate(key, randomBytes(IV_BYTES)),
  },
  {
    title: 'a ciphertext that is not whole blocks',
    reason: 'bad-length',
    datagram: () => authenticate(key, randomBytes(IV_BYTES + 33)),
  },
  {
    title: 'random bytes of a possible length',
    reason: 'auth',
    datagram: () => randomBytes(HMAC_BYTES + IV_BYTES + 64),
  },
  { title: 'a flipped bit in the HMAC', reason: 'auth', datagram: () => flipBit(valid(), 0) },
  { title: 'a flipped bit in the IV', reason: 'auth', datagram: () => flipBit(valid(), HMAC_BYTES) },
  {
    title: 'a flipped bit in the ciphertext',
    reason: 'auth',
    datagram: () => flipBit(valid(), HMAC_BYTES + IV_BYTES),
  },
  {
    title: 'a datagram of another key',
    reason: 'auth',
    datagram: () => seal(randomBytes(256), idAndPayload(fresh)),
  },
  {
    title: 'right HMAC, impossible padding',
    reason: 'decrypt',
    datagram: () => sealBlocks(key, Buffer.alloc(32)),
  },
  {
    title: 'plaintext shorter than a packet id',
    reason: 'header',
    datagram: () => seal(key, Buffer.alloc(7)),
  },
  {
    title: 'packet id 0',
    reason: 'illegal-id',
    datagram: () => seal(key, idAndPayload({ ...fresh, id: 0 })),
  },
  {
    title: 'an old epoch',
    reason: 'time-backtrack',
    datagram: () => seal(key, idAndPayload({ ...fresh, time: 1 })),
  },
];

describe('outer datagrams', () => {
  const link = useLink();
  let tunnel: Tunnel;

  beforeAll(async () => {
    tunnel = prepareTunnel(link, { listener: 'tsvpn', caller: 'openvpn', key });
    await completed(tunnel);
  });
  afterAll(() => stopTunnel(tunnel));

  async function drops(): Promise<Record<string, number>> {
    const { stdout } = await tsvpn(link, link.a, 'status', tunnel.listener.name, '--json');
    const status = JSON.parse(stdout) as { schema: string; drops: Record<string, number> };
    expect(status.schema).toBe('tsvpn.status/2');
    return status.drops;
  }

  function send(...datagrams: Uint8Array[]): Promise<string> {
    const input = datagrams.map((datagram) => `${Buffer.from(datagram).toString('hex')}\n`).join('');
    return link.b.mustRun([process.execPath, SENDER, OUTER.a.ipv4, String(tunnel.port)], { input });
  }

  /** Waits until the counters are `before` with `count` more under `reason`, and nothing else. */
  async function expectDropped(before: Record<string, number>, reason: string, count = 1): Promise<void> {
    const expected = { ...before, [reason]: (before[reason] ?? 0) + count };
    await expect.poll(drops).toEqual(expected);
  }

  it.each(rows)('counts $title as $reason', async ({ reason, datagram }) => {
    const before = await drops();
    await send(datagram());
    await expectDropped(before, reason);
  });

  it('counts the largest possible datagram, and survives it', async () => {
    const before = await drops();
    await send(randomBytes(65_507));
    await expect.poll(drops).not.toEqual(before);
    const reasons = Object.entries(await drops()).flatMap(([name, n]) => (n === before[name] ? [] : [name]));
    expect(['too-long', 'bad-length', 'auth']).toContain(reasons.join());
  });

  it("counts the peer's own datagram, sent a second time, as replay", async () => {
    const capture = ['tcpdump', '-n', '-l', '-x', '-c', '1', '-i', 'outer', `udp dst port ${tunnel.port}`];
    const dump = await link.b.mustRun([...capture, 'and', 'src', 'host', OUTER.b.ipv4]);
    const bytes = [...dump.matchAll(/^\s*0x[0-9a-f]+:\s+(.*)$/gm)].map((line) => line[1].replaceAll(' ', ''));
    const IPV4_AND_UDP_HEADER = 28;
    const datagram = Buffer.from(bytes.join(''), 'hex').subarray(IPV4_AND_UDP_HEADER);
    const before = await drops();
    await send(datagram, datagram);
    await expectDropped(before, 'replay', 2);
  });

  it('still carries traffic both ways afterwards, to the address it had', async () => {
    const { listener, caller } = tunnel;
    await Promise.all([
      expectPing(listener.namespace, caller.address, 1400),
      expectPing(caller.namespace, listener.address, 1400),
    ]);
    await expectTransfer(caller.namespace, listener.namespace, listener.address, 100_000);
    expect(listener.daemon.count(/Peer Connection Initiated with/)).toBe(1);
  });
});
