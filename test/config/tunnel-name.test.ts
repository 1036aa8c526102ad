import { expect, test } from 'vitest';
import { tunnelName } from '../../src/config/tunnel-name.ts';

test.each([
  ['a name', 'site-a', 'site-a'],
  ['a config file', 'site-a.conf', 'site-a'],
  ['a client profile', 'site-a.ovpn', 'site-a'],
  ['a path', '/etc/tsvpn/site-a.conf', 'site-a'],
  ['a file without extension', './site-a', 'site-a'],
  ['a name with a dot', 'gw.example', 'gw.example'],
  ['a file with a dot', 'gw.example.conf', 'gw.example'],
  ['a path with a dot', '/etc/gw.example', 'gw.example'],
])('the tunnel of %s', (_row, operand, name) => {
  expect(tunnelName(operand)).toBe(name);
  expect(tunnelName(name)).toBe(name);
});
