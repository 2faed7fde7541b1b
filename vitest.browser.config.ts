import { defineConfig } from 'vitest/config';

/** What runs in a real Chromium. Without one, all of it is skipped, and says so. */
export default defineConfig({
  test: {
    include: ['test/browser/**/*.chromium.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 1,
  },
});
