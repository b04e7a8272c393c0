import { defineConfig } from 'vitest/config';

export default defineConfig({
  // `omega/sdk` is what installed programs import: here it is the source, there what was built of it.
  ssr: { resolve: { conditions: ['omega-source', 'module', 'node', 'development|production'] } },
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
    // No test is about its own time: these end what hangs, and must not end what a busy machine takes long for.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 60_000 } },
  },
});
