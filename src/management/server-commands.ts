/** Commands of OpenVPN that concern servers, certificates and passwords: known, and answered as stock does without any. */
import { failure, success, type Command } from './command.ts';

type Least = Pick<Command, 'least' | 'open' | 'multiline' | 'secret'>;

function row(name: string, usage: string, needs: Least, run: Command['run']): Command {
  return { name, usage, help: 'For servers or TLS; not here.', ...needs, run };
}

/** `named`: what stock calls it in the answer. */
function unsupported(name: string, usage: string, needs: Least, named = name): Command {
  const text = `The '${named}' command is not supported by the current daemon mode`;
  return row(name, usage, needs, () => failure(text));
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
  unsupported('nclients', '', { least: 0 }),
  unsupported('kill', 'NAME|HOST:PORT', { least: 1 }),
  unsupported('client-kill', 'CID [TEXT]', { least: 1, open: true }),
  unsupported('client-auth', 'CID KID', { least: 2, multiline: true }),
  unsupported('client-auth-nt', 'CID KID', { least: 2 }, 'client-auth'),
  unsupported('client-deny', 'CID KID REASON [TEXT]', { least: 3, open: true }),
  unsupported('client-pending-auth', 'CID KID TEXT SECONDS', { least: 4 }),
  row('cr-response', 'TEXT', { least: 1 }, () => success('command succeeded')),
  row('pkcs11-id-count', '', { least: 0 }, () => ['>PKCS11ID-COUNT:0']),
  row('pkcs11-id-get', 'I', { least: 1 }, (_desk, [index]) => [`>PKCS11ID-ENTRY:'${index}'`]),
  unavailable('rsa-sig'),
  unavailable('pk-sig'),
  unavailable('certificate'),
  row('net', '', { least: 0 }, () => failure('Sorry, this command is currently only implemented on Windows')),
];
