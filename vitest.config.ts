import { defineConfig } from 'vitest/config';

/**
 * Small suites that change nothing of their process: their files run one after the other in the same two
 * workers, which spares loading the modules a hundred times. Those that compute much are slower that way.
 */
const STATELESS = [
  'bytes,compress,dedup,digests,edit,flow,folder,hash,http,options,plan,shard,target-servers',
  'targets,xorb',
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
          exclude: [`test/{slow,interop,s3,browser,${STATELESS}}/**`, 'node_modules/**'],
        },
      },
    ],
  },
});
