/** Stock OpenVPN of other releases than the one installed (scripts/stock.mjs). */
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';

const STOCK = resolve(import.meta.dirname, '../../scripts/stock.mjs');

export const RELEASES = ['2.5', '2.7'] as const;
export type Release = (typeof RELEASES)[number];

export interface Stock {
  /** For example `2.7.8`. */
  readonly version: string;
  /** What stands in place of the word `openvpn`. */
  readonly argv: readonly string[];
}

/** What could be had; the others are told by their `obstacle`. `npm test` has asked before. */
const found = JSON.parse(
  process.env.TSVPN_TEST_RELEASES ?? execFileSync(process.execPath, [STOCK], { encoding: 'utf8' }),
) as Readonly<Record<Release, Stock | { readonly obstacle: string }>>;

/** Skips the test, with the reason, when the release cannot be had here. */
export function stockOf(release: Release, context: { skip(note: string): never }): Stock {
  const stock = found[release];
  return 'obstacle' in stock ? context.skip(stock.obstacle) : stock;
}
