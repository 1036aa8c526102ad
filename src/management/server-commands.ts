/** Commands of OpenVPN that concern servers, certificates and passwords: known, and answered as stock does without any. */
import { failure, success, unsupported, type Command } from './command.ts';

type Least = Pick<Command, 'least' | 'open' | 'multiline' | 'secret'>;

function row(name: string, usage: string, needs: Least, run: Command['run']): Command {
  return { name, usage, help: 'For servers or TLS; not here.', ...needs, run };
}

/** `named`: what stock calls it in the answer. */
function ofServers(name: string, usage: string, needs: Least, named = name): Command {
  return row(name, usage, needs, () => unsupported(named));
}

function unneeded(name: string, what: string): Command {
  const text = `no ${what} is currently needed at this time`;
  return row(name, 'TYPE VALUE', { least: 2, secret: name === 'password' }, () => failure(text));
}

function unavailable(name: string): Command {
  return row(name, '', { least: 0 }, () => failure(`The ${name} command is not currently available`));
}

export const SERVER_COMMANDS: readonly Command[] = [
  unneeded('username', 'username'),
  unneeded('password', 'password'),
  unneeded('needok', 'needok-confirmation'),
  unneeded('needstr', 'needstr-string'),
  ofServers('nclients', '', { least: 0 }),
  ofServers('kill', 'NAME|HOST:PORT', { least: 1 }),
  ofServers('client-kill', 'CID [TEXT]', { least: 1, open: true }),
  ofServers('client-auth', 'CID KID', { least: 2, multiline: true }),
  ofServers('client-auth-nt', 'CID KID', { least: 2 }, 'client-auth'),
  ofServers('client-deny', 'CID KID REASON [TEXT]', { least: 3, open: true }),
  ofServers('client-pending-auth', 'CID KID TEXT SECONDS', { least: 4 }),
  row('cr-response', 'TEXT', { least: 1 }, () => success('command succeeded')),
  row('pkcs11-id-count', '', { least: 0 }, () => ['>PKCS11ID-COUNT:0']),
  row('pkcs11-id-get', 'I', { least: 1 }, (_desk, [index]) => [`>PKCS11ID-ENTRY:'${index}'`]),
  unavailable('rsa-sig'),
  unavailable('pk-sig'),
  unavailable('certificate'),
  row('net', '', { least: 0 }, () => failure('Sorry, this command is currently only implemented on Windows')),
];
