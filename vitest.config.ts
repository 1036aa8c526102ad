import { defineConfig } from 'vitest/config';

const SECOND = 1000;

/** `unit` needs nothing; `netns` needs root, network namespaces and the programs scripts/test.mjs installs. */
export default defineConfig({
  test: {
    pool: 'forks',
    cache: false,
    maxConcurrency: 4,
    // Limits of time are for what hangs: a machine that others use may be several times slower than an idle one.
    testTimeout: 180 * SECOND,
    hookTimeout: 180 * SECOND,
    expect: { poll: { timeout: 60 * SECOND } },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/netns/**'],
          globalSetup: ['test/support/build.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'netns',
          include: ['test/netns/**/*.test.ts'],
          globalSetup: ['test/support/build.ts'],
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
