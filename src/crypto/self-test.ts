/**
 * The test a provider must pass at start before it is trusted with a tunnel: its cipher and its HMAC give the answers
 * of the reference (or stored ones), what it seals it opens, and a changed bit is refused.
 */
import { NativeArena } from '../ffi/memory.ts';
import { Batch } from '../packet/batch.ts';
import { DropReason, PASS } from '../packet/verdict.ts';
import { CIPHER_NONE, DIGEST_NONE } from './algorithms.ts';
import { KNOWN_CIPHERTEXTS, KNOWN_MESSAGE_SIZE, KNOWN_TAGS } from './known-answers.ts';
import { createNobleProvider } from './noble.ts';
import type { CryptoProvider, DirectionKeys, Opener, RandomFill, Suite } from './provider.ts';

/** Around the block sizes of ciphers and hashes, and a full packet. */
const LENGTHS = [8, 15, 16, 17, KNOWN_MESSAGE_SIZE, 63, 64, 65, 1408];

function countUp(length: number, first: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => first + i);
}

/** The IV of the known answers. */
const fixedIv: RandomFill = (bytes, offset, length) => bytes.set(countUp(length, 128), offset);

function keysFor(suite: Suite): DirectionKeys {
  return { cipher: countUp(suite.cipher.keySize, 1), hmac: countUp(suite.digest.size, 1) };
}

function load(batch: Batch, packet: Uint8Array): void {
  batch.bytes.set(packet, batch.packetOffset(0));
  batch.commit(0, packet.length);
}

function packetOf(batch: Batch): Buffer {
  return Buffer.from(batch.bytes.slice(batch.start[0], batch.start[0] + batch.length[0]));
}

function sealed(provider: CryptoProvider, suite: Suite, batch: Batch, message: Uint8Array): Buffer {
  const sealer = provider.createSealer(suite, keysFor(suite), fixedIv);
  load(batch, message);
  sealer.seal(batch, 0, 1);
  sealer.dispose();
  return packetOf(batch);
}

function matchesReference(provider: CryptoProvider, suite: Suite, batch: Batch): boolean {
  const reference = createNobleProvider();
  return LENGTHS.every((length) => {
    const message = countUp(length, 0);
    return sealed(provider, suite, batch, message).equals(sealed(reference, suite, batch, message));
  });
}

/** Does one algorithm alone, with `none` for the other, give the right answers? */
function givesKnownAnswers(provider: CryptoProvider, suite: Suite, batch: Batch): boolean {
  if (createNobleProvider().supports(suite)) return matchesReference(provider, suite, batch);
  const packet = sealed(provider, suite, batch, countUp(KNOWN_MESSAGE_SIZE, 0)).toString('hex');
  const ciphertext = KNOWN_CIPHERTEXTS.get(suite.cipher.name);
  if (ciphertext !== undefined) return packet.endsWith(ciphertext);
  const tag = KNOWN_TAGS.get(suite.digest.name);
  return tag !== undefined && packet.startsWith(tag);
}

function verdictOn(packet: Uint8Array, opener: Opener, batch: Batch): number {
  load(batch, packet);
  opener.open(batch, 0, 1);
  return batch.verdict[0];
}

function opensWhatItSeals(provider: CryptoProvider, suite: Suite, batch: Batch): boolean {
  const opener = provider.createOpener(suite, keysFor(suite));
  const succeeded = LENGTHS.every((length) => {
    const message = countUp(length, 0);
    const packet = sealed(provider, suite, batch, message);
    if (verdictOn(packet, opener, batch) !== PASS || !packetOf(batch).equals(message)) return false;
    packet[packet.length - 1] ^= 1;
    return suite.digest.size === 0 || verdictOn(packet, opener, batch) === DropReason.Auth;
  });
  opener.dispose();
  return succeeded;
}

/** What is wrong with `provider` for this suite, which it says it supports; undefined when nothing is. */
export function selfTest(provider: CryptoProvider, suite: Suite): string | undefined {
  const batch = new Batch(new NativeArena(Batch.arenaSize({ slots: 1 })), { slots: 1 });
  const { cipher, digest } = suite;
  if (!givesKnownAnswers(provider, { cipher, digest: DIGEST_NONE }, batch)) {
    return `${cipher.name} gives wrong answers`;
  }
  if (!givesKnownAnswers(provider, { cipher: CIPHER_NONE, digest }, batch)) {
    return `HMAC with ${digest.name} gives wrong answers`;
  }
  if (!opensWhatItSeals(provider, suite, batch)) return 'it does not open what it seals';
  return undefined;
}
