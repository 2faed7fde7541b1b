import { defineConfig } from 'vitest/config';

/**
 * Suites of modules that keep no state and touch nothing of the process: their files run one after the
 * other in the same two workers, which spares loading the modules a hundred times.
 */
const STATELESS = [
  'archive,bytes,chunker,compress,conformance,dedup,digests,edit,flow,folder,hash,http,options',
  'plan,shard,transport,xorb',
].join(',');

export default defineConfig({
  test: {
    testTimeout: 30_000,
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: {
          name: 'stateless',
          include: [`test/{${STATELESS}}/**/*.test.ts`],
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'isolated',
          include: ['test/**/*.test.ts'],
          exclude: [`test/{slow,interop,s3,${STATELESS}}/**`, 'node_modules/**'],
        },
      },
    ],
  },
});
