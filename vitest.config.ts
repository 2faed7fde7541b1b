import { defineConfig } from 'vitest/config';

/**
 * Suites that change nothing of their process: their files run one after the other in the same two
 * workers, which spares loading the modules two hundred times.
 */
const STATELESS = [
  'archive,bytes,chunker,client,compose,compress,conformance,dedup,digests,edit,faults,flow,folder',
  'gateway,hash,http,hub,io,kernels,options,plan,shard,target-servers,targets,transport,xorb',
].join(',');

/** Of these folders what replaces modules of Node, which has to be there before they are loaded. */
const MOCKING = ['test/gateway/odd-disks.test.ts', 'test/client/upload/known-shards.test.ts'];

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
          exclude: MOCKING,
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
      {
        extends: true,
        test: { name: 'mocking', include: MOCKING },
      },
    ],
  },
});
