import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { renderCompatibility } from '../../src/config/compatibility.ts';
import { isOpenVpn, versionsOf } from '../../src/config/dialects.ts';
import { directiveNames, findDirective } from '../../src/config/directives.ts';
import { describeDirective, renderDirectiveDocs } from '../../src/config/docs.ts';

describe('docs/directives.md', () => {
  const page = readFileSync(new URL('../../docs/directives.md', import.meta.url), 'utf8');

  it('is what the table renders to (npm run build && node scripts/docs.mjs)', () => {
    expect(page).toBe(renderDirectiveDocs());
  });

  it('has every directive', () => {
    for (const name of directiveNames()) expect(page).toMatch(new RegExp('`' + name + '[ `]'));
  });
});

describe('docs/openvpn-compatibility.md', () => {
  const page = readFileSync(new URL('../../docs/openvpn-compatibility.md', import.meta.url), 'utf8');

  it('is what the table renders to (npm run build && node scripts/docs.mjs)', () => {
    expect(page).toBe(renderCompatibility());
  });

  it("has every directive of OpenVPN's once, and none of ours", () => {
    for (const name of directiveNames()) {
      const rows = page.split('\n').filter((line) => line.startsWith(`| \`${name}\` |`));
      expect(rows.length, name).toBe(isOpenVpn(name) ? 1 : 0);
    }
  });

  it.each([
    ['secret', ['2.2', '2.3', '2.4', '2.5', '2.6', '2.7']],
    ['route-ipv6', ['2.3', '2.4', '2.5', '2.6', '2.7']],
    ['compress', ['2.4', '2.5', '2.6', '2.7']],
    ['keysize', ['2.2', '2.3', '2.4', '2.5']],
    ['ncp-disable', ['2.4', '2.5']],
    ['allow-deprecated-insecure-static-crypto', ['2.7']],
  ])('%s is known to %s', (name, versions) => {
    expect(versionsOf(name)).toEqual(versions);
  });
});

describe('help for one directive', () => {
  it('shows synopsis, ranges, default and status', () => {
    expect(describeDirective('replay-window')).toBe(
      [
        'replay-window PACKETS [SECONDS]',
        '',
        '  How far packets may arrive out of order; 0 packets demands strict order.',
        '',
        '  PACKETS: 0 to 65536',
        '  SECONDS: 0 to 600',
        '  Default: 64 15',
        '',
        '  Supported.',
        '',
      ].join('\n'),
    );
  });

  it('says what to do about one that is not supported', () => {
    expect(describeDirective('ca')).toContain('this is a TLS config');
    expect(describeDirective('block-outside-dns')).toContain('Accepted without effect');
  });

  it('exists for every name and no other', () => {
    for (const name of directiveNames()) expect(describeDirective(name)).toBeDefined();
    expect(describeDirective('foobar')).toBeUndefined();
  });
});

it('every refusal says what to do', () => {
  for (const name of directiveNames()) {
    const answer = findDirective(name)?.answer;
    if (answer?.status === 'refused') expect(answer.fix, name).not.toBe('');
  }
});
