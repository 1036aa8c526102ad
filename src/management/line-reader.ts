/** Cuts what a client sends into lines, which end with LF or CRLF, and keeps little of a line without end. */

/** Longest line, bytes; stock reads into a buffer of that size. */
export const MAX_LINE = 1024;
const LINE_FEED = 0x0a;

/** `too-long` stands for a whole line of more than MAX_LINE bytes. */
export type Received = { readonly text: string } | 'too-long';

/** Returns a function from what was received to the lines that are complete now. */
export function lineReader(): (chunk: Buffer) => Received[] {
  let rest: Buffer = Buffer.alloc(0);
  let skipping = false;
  return (chunk) => {
    const lines: Received[] = [];
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, from)) {
      const line = Buffer.concat([rest, chunk.subarray(from, end)]);
      lines.push(skipping || line.length > MAX_LINE ? 'too-long' : { text: clean(line) });
      rest = Buffer.alloc(0);
      skipping = false;
      from = end + 1;
    }
    const tail = chunk.subarray(from);
    skipping ||= rest.length + tail.length > MAX_LINE;
    rest = skipping ? Buffer.alloc(0) : Buffer.concat([rest, tail]);
    return lines;
  };
}

/** As stock, leaves out control characters other than tabs, and with them the CR at the end. */
function clean(line: Buffer): string {
  return line.toString().replace(/[\u0000-\u0008\u000a-\u001f\u007f]/g, '');
}
