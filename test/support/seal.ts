/**
 * An independent sealer for tests: one AES-256-CBC/SHA256 datagram from its parts, by node:crypto, for datagrams no
 * honest peer would send.
 *
 *   HMAC (32) | IV (16) | AES-CBC( packet id (4) | time (4) | payload | padding )
 */
import { createCipheriv, createHmac, randomBytes } from 'node:crypto';

export const HMAC_BYTES = 32;
export const IV_BYTES = 16;
const BLOCK_BYTES = 16;
const HMAC_SLOT = 64;

/** The payload of an OpenVPN ping. */
export const PING = Buffer.from('2a187bf3641eb4cb07ed2d0a981fc748', 'hex');

export interface Plaintext {
  readonly id: number;
  /** Seconds since 1970: the sender's epoch. */
  readonly time: number;
  readonly payload: Uint8Array;
}

export function idAndPayload({ id, time, payload }: Plaintext): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(id, 0);
  header.writeUInt32BE(time, 4);
  return Buffer.concat([header, payload]);
}

/** `key` is the static key's 256 bytes, used without direction. */
export function seal(key: Uint8Array, plaintext: Uint8Array): Buffer {
  const padding = BLOCK_BYTES - (plaintext.length % BLOCK_BYTES);
  return sealBlocks(key, Buffer.concat([plaintext, Buffer.alloc(padding, padding)]));
}

/** Encrypts whole blocks as they are, so that the padding can be wrong. */
export function sealBlocks(key: Uint8Array, blocks: Uint8Array): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-cbc', key.subarray(0, 32), iv).setAutoPadding(false);
  return authenticate(key, Buffer.concat([iv, cipher.update(blocks), cipher.final()]));
}

/** Puts the right HMAC in front of anything. */
export function authenticate(key: Uint8Array, ivAndCiphertext: Uint8Array): Buffer {
  const hmacKey = key.subarray(HMAC_SLOT, HMAC_SLOT + HMAC_BYTES);
  return Buffer.concat([createHmac('sha256', hmacKey).update(ivAndCiphertext).digest(), ivAndCiphertext]);
}
