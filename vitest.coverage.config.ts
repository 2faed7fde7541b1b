import { defineConfig } from 'vitest/config';

/** A report, without thresholds: the suites that start no other processes, which it would not see. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // WebAssembly is not seen either. The vectors take a minute here, and reach nothing that the suites
    // of each module do not.
    exclude: [
      'test/{slow,interop,cli,bench,docs,architecture,kernels,conformance}/**',
      'node_modules/**',
    ],
    testTimeout: 120_000,
    maxWorkers: 2,
    coverage: {
      enabled: true,
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/kernels/{assembly,generated}/**', 'src/{bench,cli}/**'],
      reporter: ['text-summary', 'lcov'],
    },
  },
});
