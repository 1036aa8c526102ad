import { expect, it } from 'vitest';
import { parseServices } from '../../src/config/services.ts';

it('finds the ports of services by name and by other names, of UDP if there are two', () => {
  const services = parseServices(
    [
      '# names',
      'domain\t\t53/tcp',
      'shell 514/tcp cmd # rsh',
      'syslog 514/udp log',
      'cmd 9/udp',
      'x',
      '',
    ].join('\n'),
  );
  expect(Object.fromEntries(services)).toEqual({ domain: 53, shell: 514, syslog: 514, log: 514, cmd: 9 });
});
