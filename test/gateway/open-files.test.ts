import { mkdtemp, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createDiskStore } from '../../src/gateway/index.js';
import { createOpenFiles, MAX_IDLE_FILES } from '../../src/gateway/stores/open-files.js';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
import { createFakeClock } from './support/rig.js';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-open-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function fileNamed(name: string, text = name): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

describe('files that are kept open', () => {
  it('are opened once for reads at the same time and one after the other', async () => {
    const path = await fileNamed('a');
    const files = createOpenFiles(SYSTEM_CLOCK);
    const [first, second] = await Promise.all([files.lease(path), files.lease(path)]);
    expect(first?.file).toBe(second?.file);
    expect(first?.sizeBytes).toBe(1);
    await first?.release();
    await second?.release();
    const third = await files.lease(path);
    expect(third?.file).toBe(first?.file);
    await third?.release();
    await files.closeIdle();
    expect(first?.file.fd).toBe(-1);
  });

  it('are none for what is missing or a folder', async () => {
    const files = createOpenFiles(SYSTEM_CLOCK);
    expect(await files.lease(join(folder, 'none'))).toBeNull();
    expect(await files.lease(folder)).toBeNull();
  });

  it('are closed when they are forgotten, after the last read', async () => {
    const path = await fileNamed('a', 'old');
    const files = createOpenFiles(SYSTEM_CLOCK);
    const reading = await files.lease(path);
    await files.forget(path);
    await unlink(path);
    expect(await files.lease(path)).toBeNull();
    expect((await reading?.file.readFile())?.toString()).toBe('old');
    await reading?.release();
    expect(reading?.file.fd).toBe(-1);
  });

  it('are not more than a bounded number', async () => {
    const files = createOpenFiles(SYSTEM_CLOCK);
    const leases = [];
    for (let i = 0; i < MAX_IDLE_FILES + 5; i++) {
      leases.push(await files.lease(await fileNamed(`f${i}`)));
    }
    for (const lease of leases) await lease?.release();
    const open = leases.filter((lease) => lease?.file.fd !== -1);
    expect(open.length).toBe(MAX_IDLE_FILES);
    await files.closeIdle();
  });

  it('are closed after a while without reads', async () => {
    const clock = createFakeClock();
    const files = createOpenFiles(clock);
    const lease = await files.lease(await fileNamed('a'));
    await lease?.release();
    clock.advance(10_000);
    await vi.waitFor(() => expect(lease?.file.fd).toBe(-1));
  });

  it('make room when the system has no descriptor left', async () => {
    const files = createOpenFiles(SYSTEM_CLOCK);
    const lease = await files.lease(await fileNamed('a'));
    await lease?.release();
    let tries = 0;
    const run = async (): Promise<string> => {
      tries++;
      if (tries === 1) throw Object.assign(new Error('too many files'), { code: 'EMFILE' });
      return 'opened';
    };
    expect(await files.withRoom(run)).toBe('opened');
    expect(lease?.file.fd).toBe(-1);
    tries = 0;
    await expect(files.withRoom(run)).rejects.toThrow('too many files');
  });
});

describe('a disk store', () => {
  it('does not serve an object from an open file once it was deleted', async () => {
    const store = await createDiskStore(folder, { sync: false });
    await store.put('xorbs/abc', new Uint8Array([1, 2, 3]));
    const reader = await store.open('xorbs/abc');
    const into = new Uint8Array(2);
    await reader?.readAt(into, 1);
    expect([...into]).toEqual([2, 3]);
    await reader?.close();
    expect(await store.delete('xorbs/abc')).toBe(true);
    expect(await store.open('xorbs/abc')).toBeNull();
    await store.put('xorbs/abc', new Uint8Array([9]));
    const again = await store.open('xorbs/abc');
    await again?.readAt(into.subarray(0, 1), 0);
    expect(into[0]).toBe(9);
    await expect(again?.readAt(into, 0)).rejects.toMatchObject({ code: 'TRUNCATED' });
    await again?.close();
    await store.close?.();
  });
});
