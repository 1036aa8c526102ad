import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
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

it('every refusal and every postponement says what to do', () => {
  for (const name of directiveNames()) {
    const answer = findDirective(name)?.answer;
    if (answer?.status === 'refused') expect(answer.fix, name).not.toBe('');
    if (answer?.status === 'later') expect(answer.instead, name).toBeDefined();
  }
});
