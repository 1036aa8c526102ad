/**
 * Small clients and servers that say in JSON lines what they saw:
 *   node probe.mjs udp-listen ADDRESS PORT          prints `listening`; for each datagram {from, size, sha256, replied}
 *   node probe.mjs udp ADDRESS PORT SIZE REPLY      sends SIZE random bytes, REPLY of which are wanted back (0: from
 *                                                   whoever sends any); prints {sent, size, sha256, seenAs} or {error}
 *   node probe.mjs udp-many ADDRESS PORTS FLOWS     that many sockets, a datagram each, to PORTS ports in turn; prints
 *                                                   how many were answered and the errors of the others
 *   node probe.mjs udp-each ADDRESS PORT FLOWS      the same to one port, each when the one before has its answer
 *   node probe.mjs tcp-listen ADDRESS PORT          tells each caller its own address
 *   node probe.mjs tcp ADDRESS PORT [LOCAL-PORT]    prints {seenAs} or {error}
 * All clients print {ms} as well: what it took, in milliseconds.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';

const [role, host, port, ...words] = process.argv.slice(2);
const WAIT_MS = 10_000;
const started = performance.now();

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const say = (record) => console.log(JSON.stringify(record));

function end(record) {
  say({ ...record, ms: Math.round(performance.now() - started) });
  process.exit();
}

/** The wanted size of the answer, then random bytes; an answer is the caller's address in a line, then random bytes. */
function request(size, reply) {
  const bytes = randomBytes(size);
  bytes.writeUInt16BE(reply);
  return bytes;
}

function answer(from, size) {
  const bytes = randomBytes(Math.max(size, 32));
  bytes.write(`${from}\n`);
  return bytes;
}

const firstLine = (bytes) => bytes.subarray(0, bytes.indexOf('\n')).toString('latin1');

const roles = {
  'udp-listen'() {
    const socket = createSocket('udp4');
    socket.on('message', (message, caller) => {
      const from = `${caller.address}:${caller.port}`;
      const wanted = message.readUInt16BE();
      const reply = answer(from, wanted);
      if (wanted > 0) socket.send(reply, caller.port, caller.address);
      say({ from, size: message.length, sha256: sha256(message), replied: sha256(reply) });
    });
    socket.bind(Number(port), host, () => console.log('listening'));
  },
  udp() {
    const [size, reply] = words.map(Number);
    const socket = createSocket('udp4');
    const bytes = request(size, reply);
    const sent = sha256(bytes);
    socket.on('error', ({ code }) => end({ sent, error: code }));
    socket.on('message', (message) => {
      end({ sent, size: message.length, sha256: sha256(message), seenAs: firstLine(message) });
    });
    setTimeout(() => end({ sent, error: 'no answer' }), WAIT_MS);
    socket.connect(Number(port), host, () => socket.send(bytes));
  },
  'udp-many'() {
    const [flows] = words.map(Number);
    const tally = { answered: 0 };
    let silence = setTimeout(() => end(tally), 3 * WAIT_MS);
    const count = (what) => {
      tally[what] = (tally[what] ?? 0) + 1;
      clearTimeout(silence);
      silence = setTimeout(() => end(tally), 2000);
    };
    for (let flow = 0; flow < flows; flow++) {
      const socket = createSocket('udp4');
      socket.on('error', ({ code }) => count(code));
      socket.on('message', () => count('answered'));
      socket.connect(5000 + (flow % Number(port)), host, () => socket.send(request(64, 64)));
    }
  },
  async 'udp-each'() {
    const [flows] = words.map(Number);
    const tally = { answered: 0 };
    for (let flow = 0; flow < flows; flow++) {
      const socket = createSocket('udp4');
      const outcome = new Promise((resolve) => {
        socket.on('error', ({ code }) => resolve(code));
        socket.on('message', () => resolve('answered'));
        setTimeout(() => resolve('silence'), WAIT_MS);
      });
      socket.connect(Number(port), host, () => socket.send(request(64, 64)));
      const what = await outcome;
      tally[what] = (tally[what] ?? 0) + 1;
    }
    end(tally);
  },
  'tcp-listen'() {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.end(`${socket.remoteAddress}:${socket.remotePort}\n`);
    });
    server.listen(Number(port), host, () => console.log('listening'));
  },
  tcp() {
    const localPort = words[0] === undefined ? {} : { localPort: Number(words[0]) };
    const socket = connect({ host, port: Number(port), ...localPort });
    socket.on('error', ({ code }) => end({ error: code }));
    socket.on('data', (bytes) => end({ seenAs: firstLine(bytes) }));
    setTimeout(() => end({ error: 'no answer' }), WAIT_MS);
  },
};
roles[role]();
