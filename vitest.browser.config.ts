import { defineConfig } from 'vitest/config';

/** What runs in a real Chromium. Without one, all of it is skipped, and says so. */
export default defineConfig({
  test: {
    include: ['test/browser/**/*.chromium.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxWorkers: 1,
  },
});
