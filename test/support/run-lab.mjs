/** The lab as one process, for tests that interrupt and kill it; argument: JSON `{a, b, keep, transferBytes, tsvpn?}`. */
import { runLab } from '../../dist/lab/lab.js';

const order = JSON.parse(process.argv[2]);
const interrupt = new AbortController();
process.on('SIGINT', () => interrupt.abort());
const bin = new URL('../../bin/tsvpn', import.meta.url).pathname;

try {
  await runLab({
    peer: order.b,
    gateways: { a: order.a, b: order.b },
    keep: order.keep === true,
    json: true,
    write: (line) => console.log(line),
    progress: (line) => console.log(`progress: ${line}`),
    tsvpnCommand: order.tsvpn ?? [process.execPath, bin],
    signal: interrupt.signal,
    transferBytes: order.transferBytes,
  });
} catch (error) {
  console.log(JSON.stringify({ error: { ...error } }));
  process.exitCode = error.exitCode ?? 70;
}
