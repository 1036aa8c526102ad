/**
 * Internal routines of OpenSSL's libcrypto that work on four or eight packets at once. OpenSSL uses them for TLS; they
 * are visible where libcrypto is linked into Node's own binary, on x86-64, and are no public interface. So they are
 * used only with the OpenSSL versions this was tested with, on CPUs that have the instructions, and after a self-test.
 */
import { readFileSync } from 'node:fs';
import koffi from 'koffi';
import { loadLibcrypto } from './libcrypto.ts';

/** `OpenSSL 3.0.x` is in Node 20, `3.5.x` in 22 and 24. The routines and layouts are alike in both. */
const TESTED_VERSIONS = /^OpenSSL 3\.[05]\./;
/** The least of the code paths; the routines find out about AVX, AVX2 and SHA-NI themselves. */
const CPU_FLAGS = ['aes', 'ssse3', 'sse4_1'];

// No lane may be empty: the SHA-NI code stops at a pair of empty lanes, and OpenSSL itself never has one.

/** One lane of `multiCbcEncrypt`: addresses, blocks of 16 bytes, IV. */
export const CBC_LANE = { size: 40, input: 0, output: 8, blocks: 16, iv: 24 } as const;

/** One lane of a multi-block hash: address, blocks of 64 bytes. */
export const HASH_LANE = { size: 16, input: 0, blocks: 8 } as const;

/** Hash states are eight first words, one per lane, then eight second words, and so on, in the machine's byte order. */
export const LANES = 8;

/** All arguments are machine addresses unless said otherwise; the functions cannot fail. */
export interface MultiBuffer {
  /** Expands the AES key at `key` into 244 bytes at `schedule`. */
  readonly setEncryptKey: (key: number, bits: number, schedule: number) => number;
  readonly setDecryptKey: (key: number, bits: number, schedule: number) => number;
  /** Data path. Decrypts `length` bytes (`encrypt` 0) and replaces the IV by the last block of ciphertext. */
  readonly cbc: (
    input: number,
    output: number,
    length: number,
    schedule: number,
    iv: number,
    encrypt: number,
  ) => void;
  /** Data path. `quads`: 1 for four lanes, 2 for eight. */
  readonly multiCbcEncrypt: (lanes: number, schedule: number, quads: number) => void;
  /** Data path. Adds whole blocks to eight states of five words. */
  readonly sha1MultiBlock: (states: number, lanes: number, quads: number) => void;
  /** Data path. Adds whole blocks to eight states of eight words. */
  readonly sha256MultiBlock: (states: number, lanes: number, quads: number) => void;
}

const PROTOTYPES: Readonly<Record<keyof MultiBuffer, string>> = {
  setEncryptKey: 'int aesni_set_encrypt_key(uintptr_t key, int bits, uintptr_t schedule)',
  setDecryptKey: 'int aesni_set_decrypt_key(uintptr_t key, int bits, uintptr_t schedule)',
  cbc: 'void aesni_cbc_encrypt(uintptr_t input, uintptr_t output, size_t length, uintptr_t schedule, uintptr_t iv, int encrypt)',
  multiCbcEncrypt: 'void aesni_multi_cbc_encrypt(uintptr_t lanes, uintptr_t schedule, int quads)',
  sha1MultiBlock: 'void sha1_multi_block(uintptr_t states, uintptr_t lanes, int quads)',
  sha256MultiBlock: 'void sha256_multi_block(uintptr_t states, uintptr_t lanes, int quads)',
};

function cpuHasFlags(): boolean {
  const line = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'latin1'))?.[1] ?? '';
  const flags = new Set(line.trim().split(/\s+/));
  return CPU_FLAGS.every((flag) => flags.has(flag));
}

/** The routines, or undefined where they are not there or not known. */
export function loadMultiBuffer(): MultiBuffer | undefined {
  if (process.arch !== 'x64' || !TESTED_VERSIONS.test(loadLibcrypto().OpenSSL_version(0))) return undefined;
  if (!cpuHasFlags()) return undefined;
  const process_ = koffi.load(null);
  try {
    const functions = Object.entries(PROTOTYPES).map(([name, prototype]) => [name, process_.func(prototype)]);
    return Object.fromEntries(functions) as MultiBuffer;
  } catch {
    // A Node that uses the distribution's libcrypto, which keeps internal symbols to itself.
    return undefined;
  }
}
