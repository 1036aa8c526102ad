/** Columns for people, as `ip` and `ss` print them. */
import { escapeText } from './escape.ts';

/** Paints one padded cell; row -1 is the head. */
type PaintCell = (text: string, row: number, column: number) => string;

/** Left-aligned columns, as wide as their widest cell, two spaces apart; no trailing line feed. */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  paint: PaintCell = (text) => text,
): string {
  const table = [head, ...rows].map((row) => row.map((cell) => escapeText(cell)));
  const widths = head.map((_, column) => Math.max(...table.map((row) => row[column].length)));
  return table
    .map((row, at) =>
      row
        .map((cell, column) =>
          paint(column === row.length - 1 ? cell : cell.padEnd(widths[column]), at - 1, column),
        )
        .join('  '),
    )
    .join('\n');
}
