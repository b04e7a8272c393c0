import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/browser/**'],
    globalSetup: ['test/support/global-setup.ts'],
    // Each file has its own databases; two cores, and Postgres needs one too.
    pool: 'forks',
    // Files share their worker's modules, and a database engine that is warm: half of a file's start. No module
    // of ours holds state, or two files would find it.
    isolate: false,
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
