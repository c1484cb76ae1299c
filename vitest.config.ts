import { defineConfig } from 'vitest/config';

/** Tests that need no server: pure decisions, the shape of the code, replays. All others run on the real parts. */
const UNIT = ['test/domain/**/*.test.ts', 'test/architecture.test.ts', 'test/workflows/replay.test.ts'];

export default defineConfig({
  test: {
    environment: 'node',
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: process.env.CI
      ? ['default', ['json', { outputFile: 'node_modules/.vitest/results.json' }]]
      : ['default'],
    projects: [
      { extends: true, test: { name: 'unit', include: UNIT } },
      {
        extends: true,
        test: {
          name: 'real',
          include: ['test/**/*.test.ts'],
          exclude: [...UNIT, '**/node_modules/**'],
          globalSetup: 'test/support/global-setup.ts',
        },
      },
    ],
  },
});
