/** Reading configs in tests. */
import { parseGateway } from '../../src/config/load.ts';
import type { LoadOptions } from '../../src/config/load.ts';
import type { GatewayConfig, PeerConfig } from '../../src/config/model.ts';
import { OperatorErrors } from '../../src/errors.ts';
import type { OperatorError } from '../../src/errors.ts';

/** Lines that make any other line a complete config. */
export const BASE: readonly string[] = [
  'dev tun',
  'secret static.key',
  'cipher AES-256-CBC',
  'ifconfig 10.254.0.1 10.254.0.2',
];

/** The gateway that `lines` and BASE mean together. */
export function gatewayOf(lines: readonly string[], options?: LoadOptions): GatewayConfig {
  return parseGateway([{ text: [...BASE, ...lines].join('\n'), file: 'peer.conf' }], options).config;
}

/** Its only peer. */
export function configOf(lines: readonly string[], options?: LoadOptions): PeerConfig {
  return gatewayOf(lines, options).peers[0];
}

/** What is wrong with a config text; empty when nothing is. */
export function errorsOf(text: string, options?: LoadOptions): readonly OperatorError[] {
  try {
    parseGateway([{ text, file: 'peer.conf' }], options);
    return [];
  } catch (error) {
    if (error instanceof OperatorErrors) return error.errors;
    throw error;
  }
}

/** Codes of the errors, in the order of the lines. */
export function codesOf(text: string): string[] {
  return errorsOf(text).map(({ code }) => code);
}

/** Several config files: their names and their lines. */
export type Files = Readonly<Record<string, readonly string[]>>;

function textsOf(files: Files) {
  return Object.entries(files).map(([file, lines]) => ({ file, text: lines.join('\n') }));
}

export function joined(files: Files): GatewayConfig {
  return parseGateway(textsOf(files)).config;
}

/** What is wrong with these files together; empty when nothing is. */
export function errorsOfFiles(files: Files): readonly OperatorError[] {
  try {
    joined(files);
    return [];
  } catch (error) {
    if (error instanceof OperatorErrors) return error.errors;
    throw error;
  }
}
