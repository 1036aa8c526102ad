/** Comparison of payload bytes with a magic number, without allocation. */

/** True when `magic` starts at `offset`; the caller has checked that many bytes exist. */
export function hasMagic(bytes: Uint8Array, offset: number, magic: Uint8Array): boolean {
  for (let i = 0; i < magic.length; i++) if (bytes[offset + i] !== magic[i]) return false;
  return true;
}
