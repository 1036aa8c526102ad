/**
 * The test a provider must pass at start before it is trusted with a tunnel: its cipher and its HMAC give the answers
 * of the reference (or stored ones), one packet at a time and many, what it seals it opens, and a changed bit is refused.
 */
import { NativeArena } from '../ffi/memory.ts';
import { Batch } from '../packet/batch.ts';
import { DropReason, PASS } from '../packet/verdict.ts';
import { CIPHER_NONE, DIGEST_NONE } from './algorithms.ts';
import { KNOWN_CIPHERTEXTS, KNOWN_MESSAGE_SIZE, KNOWN_TAGS } from './known-answers.ts';
import { createNobleProvider } from './noble.ts';
import type { CryptoProvider, DirectionKeys, RandomFill, Suite } from './provider.ts';

/** Around the block sizes of ciphers and hashes, and a full packet. */
const LENGTHS = [8, 15, 16, 17, KNOWN_MESSAGE_SIZE, 63, 64, 65, 1408];
/** Bytes of a slot: a full packet sealed. */
const CAPACITY = 2048;

/** One packet alone, and then enough for every lane of every multi-buffer implementation with some left over. */
const SLOTS = 1 + 20;

/** Every third datagram is tampered with before it is opened. */
const TAMPERED_EVERY = 3;

function countUp(length: number, first: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => first + i);
}

/** IVs that count up from the one of the known answers. */
function fixedIvs(): RandomFill {
  let first = 128;
  return (bytes, offset, length) => bytes.set(countUp(length, first++), offset);
}

function keysFor(suite: Suite): DirectionKeys {
  return { cipher: countUp(suite.cipher.keySize, 1), hmac: countUp(suite.digest.size, 1) };
}

const MESSAGES = Array.from({ length: SLOTS }, (_, i) => countUp(LENGTHS[i % LENGTHS.length], i));

function load(batch: Batch, packets: readonly Uint8Array[]): void {
  packets.forEach((packet, slot) => {
    batch.bytes.set(packet, batch.packetOffset(slot));
    batch.commit(slot, packet.length);
  });
}

function packetIn(batch: Batch, slot: number): Buffer {
  const start = batch.start[slot];
  return Buffer.from(batch.bytes.slice(start, start + batch.length[slot]));
}

/** Seals the first message alone and the others in one call. */
function seal(
  provider: CryptoProvider,
  suite: Suite,
  batch: Batch,
  messages: readonly Uint8Array[],
): readonly Buffer[] {
  const sealer = provider.createSealer(suite, keysFor(suite), fixedIvs());
  load(batch, messages);
  sealer.seal(batch, 0, 1);
  sealer.seal(batch, 1, messages.length);
  sealer.dispose();
  return messages.map((_, slot) => packetIn(batch, slot));
}

function matchesReference(provider: CryptoProvider, suite: Suite, batch: Batch): boolean {
  const expected = seal(createNobleProvider(), suite, batch, MESSAGES);
  return seal(provider, suite, batch, MESSAGES).every((packet, i) => packet.equals(expected[i]));
}

/** Does one algorithm alone, with `none` for the other, give the right answers? */
function givesKnownAnswers(provider: CryptoProvider, suite: Suite, batch: Batch): boolean {
  if (createNobleProvider().supports(suite)) return matchesReference(provider, suite, batch);
  const packet = seal(provider, suite, batch, [countUp(KNOWN_MESSAGE_SIZE, 0)])[0].toString('hex');
  const ciphertext = KNOWN_CIPHERTEXTS.get(suite.cipher.name);
  if (ciphertext !== undefined) return packet.endsWith(ciphertext);
  const tag = KNOWN_TAGS.get(suite.digest.name);
  return tag !== undefined && packet.startsWith(tag);
}

function opensWhatItSeals(provider: CryptoProvider, suite: Suite, batch: Batch): boolean {
  const tampered = (slot: number): boolean => suite.digest.size > 0 && slot % TAMPERED_EVERY === 1;
  const datagrams = seal(provider, suite, batch, MESSAGES);
  datagrams.forEach((datagram, slot) => {
    if (tampered(slot)) datagram[datagram.length - 1] ^= 1;
  });
  const opener = provider.createOpener(suite, keysFor(suite));
  load(batch, datagrams);
  opener.open(batch, 0, 1);
  opener.open(batch, 1, SLOTS);
  opener.dispose();
  return MESSAGES.every((message, slot) => {
    if (tampered(slot)) return batch.verdict[slot] === DropReason.Auth;
    return batch.verdict[slot] === PASS && packetIn(batch, slot).equals(message);
  });
}

/** What is wrong with `provider` for this suite, which it says it supports; undefined when nothing is. */
export function selfTest(provider: CryptoProvider, suite: Suite): string | undefined {
  const shape = { slots: SLOTS, capacity: CAPACITY };
  const batch = new Batch(new NativeArena(Batch.arenaSize(shape)), shape);
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
