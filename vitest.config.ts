import { defineConfig } from 'vitest/config';

const SECOND = 1000;

/** `unit` needs nothing; `netns` needs root, network namespaces and the programs scripts/test.mjs installs. */
export default defineConfig({
  test: {
    pool: 'forks',
    cache: false,
    maxConcurrency: 4,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/netns/**'],
          globalSetup: ['test/support/build.ts'],
          testTimeout: 60 * SECOND,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'netns',
          include: ['test/netns/**/*.test.ts'],
          globalSetup: ['test/support/build.ts'],
          testTimeout: 60 * SECOND,
          hookTimeout: 60 * SECOND,
          maxWorkers: 3,
          // Real programs on a machine that others may use: a second try, which scripts/test.mjs tells of.
          retry: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
