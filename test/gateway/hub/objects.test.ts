import { describe, expect, it } from 'vitest';
import { createHubObjects } from '../../../src/gateway/hub/objects.js';
import { createMemoryStore } from '../../../src/gateway/index.js';
import { SYSTEM_CLOCK } from '../../../src/platform/index.js';

describe('trees of a repository', () => {
  it('are refused, and not written, when a folder has more than can be read as one', async () => {
    const store = createMemoryStore();
    const objects = createHubObjects(store, SYSTEM_CLOCK, 1000);
    const folders = (count: number) =>
      Array.from({ length: count }, (_, i) => {
        return [`folder-${i}`, { kind: 'folder', tree: '0'.repeat(40) }] as const;
      });
    await expect(objects.putTree(folders(20))).rejects.toMatchObject({
      code: 'REJECTED',
      message: expect.stringContaining('spread it over several folders'),
    });
    const keys: string[] = [];
    for await (const { key } of store.list('hub-trees/')) keys.push(key);
    expect(keys).toEqual([]);
    const id = await objects.putTree(folders(5));
    expect((await objects.tree(id)).size).toBe(5);
  });
});
