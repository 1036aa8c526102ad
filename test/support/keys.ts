/** Throw-away static keys for tests. */
import { randomBytes } from 'node:crypto';

/** A static key file as `openvpn --genkey secret` writes it. */
export function staticKeyText(key: Uint8Array = randomBytes(256)): string {
  const hex = Buffer.from(key).toString('hex');
  const lines = hex.match(/.{1,32}/g) ?? [];
  return [
    '#',
    '# 2048 bit OpenVPN static key',
    '#',
    '-----BEGIN OpenVPN Static key V1-----',
    ...lines,
    '-----END OpenVPN Static key V1-----',
    '',
  ].join('\n');
}
