/**
 * What a crypto provider does: seals and opens the packets of a batch in place (encrypt-then-MAC, OpenVPN's CBC
 * data channel). Wire layout, oldest byte first:
 *
 *     HMAC (macSize) │ IV (blockSize) │ CBC ciphertext of [ plaintext │ PKCS#7 padding ]      CBC cipher
 *     HMAC (macSize) │ plaintext                                                              cipher none
 *
 * "Plaintext" here starts with the packet id and is opaque to the provider.
 */
import type { Batch } from '../packet/batch.ts';
import type { CipherSpec, DigestSpec } from './algorithms.ts';

/** The pair of algorithms of a tunnel. */
export interface Suite {
  readonly cipher: CipherSpec;
  readonly digest: DigestSpec;
}

/** One direction's keys; owned by the caller, copied by the provider. */
export interface DirectionKeys {
  /** cipher.keySize bytes. */
  readonly cipher: Uint8Array;
  /** digest.size bytes (OpenVPN: the digest's length, not its block size). */
  readonly hmac: Uint8Array;
}

/** Fills `bytes[offset .. offset + length)` with fresh unpredictable bytes, each handed out once. */
export type RandomFill = (bytes: Uint8Array, offset: number, length: number) => void;

export interface Sealer {
  /**
   * Seals slots first..end-1 whose verdict is PASS: pads into the tailroom, encrypts in place, puts IV and HMAC
   * into the headroom and moves start/length accordingly. Allocates nothing (noble excepted).
   */
  seal(batch: Batch, first: number, end: number): void;
  dispose(): void;
}

export interface Opener {
  /**
   * Opens slots first..end-1 whose verdict is PASS: on success start/length frame the plaintext; otherwise
   * verdict says why (Short, BadLength, Auth, Decrypt) and the bytes are undefined. The HMAC is compared in
   * constant time before anything is decrypted. Allocates nothing (noble excepted).
   */
  open(batch: Batch, first: number, end: number): void;
  dispose(): void;
}

export interface CryptoProvider {
  readonly name: 'ipsecmb' | 'openssl-mb' | 'openssl' | 'noble';
  /** For logs and `status`, for example `OpenSSL 3.0.19`. */
  readonly description: string;
  supports(suite: Suite): boolean;
  /** The batches given to `seal` must lie in `arena`-like memory the provider can reach (see Batch.arena). */
  createSealer(suite: Suite, keys: DirectionKeys, random: RandomFill): Sealer;
  createOpener(suite: Suite, keys: DirectionKeys): Opener;
  dispose(): void;
}

/** Thrown by a provider that needs something this machine does not have, which is normal; the message says what. */
export class ProviderAbsent extends Error {}
