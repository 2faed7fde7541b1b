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
    // What hangs ends here. Not what is slow: no test depends on the speed of its machine.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    // What is built is loaded as it is.
    server: { deps: { external: [/\/node_modules\//, /\/dist\//] } },
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
          exclude: [
            `test/{slow,interop,s3,${STATELESS}}/**`,
            'test/browser/**/*.chromium.test.ts',
            'node_modules/**',
          ],
        },
      },
    ],
  },
});
