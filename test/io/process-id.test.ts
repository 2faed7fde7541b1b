import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { isRunning, processStart } from '../../src/io/process-id.js';

describe('a process by its number', () => {
  it('is running while it is, by the time at which it began', () => {
    const start = processStart(process.pid);
    expect(isRunning(process.pid, start ?? '0')).toBe(true);
    if (start !== null) expect(isRunning(process.pid, `${Number(start) + 1}`)).toBe(false);
  });

  it('is not running when there is none', () => {
    // Above the most that Linux gives.
    expect(isRunning(2 ** 22 + 1)).toBe(false);
  });

  it.skipIf(!existsSync('/proc/self/stat'))(
    'is not running when it has ended and nobody has asked how (Linux only)',
    async () => {
      // The shell becomes a program that never asks for its child, before that ends.
      const parent = spawn('sh', ['-c', 'sleep 1 & echo $!; exec sleep 60']);
      try {
        const text = await new Promise<string>((resolve) =>
          parent.stdout.once('data', (bytes: Buffer) => resolve(bytes.toString())),
        );
        const pid = Number(text);
        await vi.waitFor(
          () => expect(readFileSync(`/proc/${pid}/stat`, 'latin1')).toMatch(/\) Z /),
          { timeout: 25_000 },
        );
        expect(() => process.kill(pid, 0)).not.toThrow();
        expect(isRunning(pid, processStart(pid) ?? '0')).toBe(false);
      } finally {
        parent.kill('SIGKILL');
      }
    },
  );
});
