/**
 * Somebody at a TCP port who does not speak OpenVPN: `connect HOST PORT HEX` sends those bytes and tells how that ended;
 * `deaf HOST PORT` takes connections and never reads.
 */
import { connect, createServer } from 'node:net';

const [mode, host, port, hex] = process.argv.slice(2);

if (mode === 'connect') {
  const socket = connect({ host, port: Number(port), autoSelectFamily: false }, () => {
    console.log('connected');
    if (hex) socket.write(Buffer.from(hex, 'hex'));
  });
  socket.on('error', ({ code }) => console.log(code));
  socket.on('close', () => console.log('closed'));
  socket.on('end', () => console.log('end'));
} else {
  const server = createServer({ pauseOnConnect: true }, () => console.log('connected'));
  server.listen(Number(port), host, () => console.log('listening'));
}
