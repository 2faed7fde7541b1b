import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../bench/gateway-load.mjs', import.meta.url));
const sizes = ['--seconds', '3', '--readers', '40', '--writers', '10', '--half-open', '40'];

describe('a gateway under load', () => {
  // Three seconds of load on a machine that CI shares with others would say how fast that one is.
  it.skipIf(process.platform !== 'linux' || process.env['CI'] !== undefined)(
    'gives honest clients no error, keeps its budget and gives its descriptors back (Linux, by hand)',
    async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [script, ...sizes]);
      const result = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, number>;
      expect(result).toMatchObject({ errors: 0, exitCode: 0 });
      expect(result['reads']).toBeGreaterThan(0);
      expect(result['uploads']).toBeGreaterThan(0);
      expect(result['peakMiB']).toBeLessThanOrEqual(result['budgetMiB'] ?? 0);
      expect(result['endDescriptors']).toBeLessThanOrEqual(result['startDescriptors'] ?? 0);
    },
  );
});
