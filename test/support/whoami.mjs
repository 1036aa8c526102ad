/**
 * Who do I seem to be? A server that tells each client the address and port it sees, and the client:
 *   node whoami.mjs serve tcp|udp ADDRESS PORT            prints `listening`, then `from ADDRESS:PORT` for each client
 *   node whoami.mjs meet tcp ADDRESS PORT LOCAL_PORT      the same without a server: both ends connect at the same time
 *   node whoami.mjs ask tcp|udp ADDRESS PORT [LOCAL_PORT] prints what it was told, or the code of the error
 */
import { createSocket } from 'node:dgram';
import { connect, createServer, isIPv6 } from 'node:net';

/** An answer that takes longer is none, milliseconds. */
const PATIENCE_MS = 20_000;

const [role, transport, address, port, localPort] = process.argv.slice(2);
const family = isIPv6(address) ? 'udp6' : 'udp4';

if (role === 'serve') (transport === 'tcp' ? serveTcp : serveUdp)();
else {
  setTimeout(() => tell('no answer'), PATIENCE_MS);
  (transport === 'tcp' ? askTcp : askUdp)();
}

function serveTcp() {
  const server = createServer((socket) => {
    const client = `${socket.remoteAddress}:${socket.remotePort}`;
    console.log(`from ${client}`);
    socket.on('error', () => undefined);
    socket.end(client);
  });
  server.listen(Number(port), address, () => console.log('listening'));
}

function serveUdp() {
  const socket = createSocket(family, (_message, { address: host, port: from }) => {
    console.log(`from ${host}:${from}`);
    socket.send(`${host}:${from}`, from, host);
  });
  socket.bind(Number(port), address, () => console.log('listening'));
}

function askTcp() {
  const socket = connect({ host: address, port: Number(port), localPort: Number(localPort ?? 0) });
  let answer = '';
  if (role === 'meet') socket.on('connect', () => socket.end(`${socket.remoteAddress}:${socket.remotePort}`));
  socket.setEncoding('utf8').on('data', (text) => (answer += text));
  socket.on('end', () => tell(answer));
  socket.on('error', (error) => tell(error.code));
}

function askUdp() {
  const socket = createSocket(family, (message) => tell(String(message)));
  socket.on('error', (error) => tell(error.code));
  socket.bind(Number(localPort ?? 0), () => {
    socket.connect(Number(port), address, () => socket.send('who am I?'));
  });
}

function tell(answer) {
  console.log(answer);
  process.exit(0);
}
