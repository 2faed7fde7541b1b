import { defineConfig } from 'vitest/config';

/**
 * Suites that change nothing of their process: their files run one after the other in the same two workers,
 * which spares loading the modules two hundred times: a third of all processor time.
 */
const SHARED = [
  'bytes,client,compose,compress,dedup,digests,edit,flow,folder,gateway,hash,http,hub,options,plan,shard',
  'target-servers,targets,transport,xorb',
].join(',');

/** Among them, those that replace modules. */
const APART = [
  'test/gateway/odd-disks.test.ts',
  'test/client/upload/known-shards.test.ts',
  'test/gateway/scopes.test.ts',
];

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
          name: 'shared',
          include: [`test/{${SHARED}}/**/*.test.ts`],
          exclude: APART,
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'isolated',
          include: [
            `test/!(slow|interop|s3|${SHARED.replaceAll(',', '|')})/**/*.test.ts`,
            ...APART,
          ],
          exclude: ['test/browser/**/*.chromium.test.ts'],
        },
      },
    ],
  },
});
