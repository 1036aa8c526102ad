/**
 * Somebody at a TCP port who does not speak OpenVPN: `connect HOST PORT HEX` sends those bytes and tells how that ended;
 * `reset HOST PORT HEX` resets the connection behind them; `deaf HOST PORT` takes connections and never reads; `serve HOST PORT
 * HEX` takes them, sends those bytes and closes, `refuse HOST PORT HEX` the same with a reset.
 */
import { connect, createServer } from 'node:net';

const [mode, host, port, hex] = process.argv.slice(2);

const bytes = Buffer.from(hex ?? '', 'hex');

if (mode === 'connect') {
  const socket = connect({ host, port: Number(port), autoSelectFamily: false }, () => {
    console.log('connected');
    if (hex) socket.write(bytes);
  });
  socket.on('error', ({ code }) => console.log(code));
  socket.on('close', () => console.log('closed'));
  socket.on('end', () => console.log('end'));
} else if (mode === 'reset') {
  const socket = connect({ host, port: Number(port), autoSelectFamily: false }, () => {
    socket.write(bytes, () => socket.resetAndDestroy());
  });
  socket.on('close', () => console.log('closed'));
} else {
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    console.log('connected');
    if (mode === 'serve') socket.end(bytes);
    if (mode === 'refuse') socket.write(bytes, () => socket.resetAndDestroy());
  });
  server.listen(Number(port), host, () => console.log('listening'));
}
