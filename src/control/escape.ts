/**
 * Text from a peer or a config file never reaches a terminal or a log raw (CVE-2024-5594: control characters in
 * peer messages): C0, DEL, C1 controls, line separators and bidirectional overrides are written as escapes.
 */

const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

const hex = (character: string) => character.charCodeAt(0).toString(16).padStart(4, '0');

/** `text` on one line, with unsafe characters as `\uXXXX`. */
export function escapeText(text: string): string {
  return text.replace(UNSAFE, (character) => `\\u${hex(character)}`);
}

/** As escapeText, keeping line feeds and tabs: for messages that may span lines. */
export function escapeLines(text: string): string {
  return text.replace(UNSAFE, (character) =>
    character === '\n' || character === '\t' ? character : `\\u${hex(character)}`,
  );
}
