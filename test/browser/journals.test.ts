import 'fake-indexeddb/auto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/browser/indexed-db.js';
import { createPageJournals } from '../../src/browser/journals.js';
import type { Locks } from '../../src/browser/locks.js';

/** The locks of an origin, as each of its pages sees them. */
function originLocks(): Locks & { readonly names: Set<string> } {
  const names = new Set<string>();
  return {
    names,
    async hold(name) {
      if (names.has(name)) return null;
      names.add(name);
      return async () => void names.delete(name);
    },
    held: async () => new Set(names),
  };
}

let database: Database;
let count = 0;
beforeEach(async () => {
  database = await openDatabase(`journals-${++count}`);
});
afterEach(() => database.close());

describe('journals of a page', () => {
  it('keep entries and blocks in order, for a page that comes later', async () => {
    const locks = originLocks();
    const first = await createPageJournals(database, locks).create({
      type: 'begin',
      kind: 'upload',
    });
    await Promise.all([
      first.append({ type: 'ack', bytes: 1 }),
      first.appendBlock(new Uint8Array([1, 2])),
      first.append({ type: 'ack', bytes: 2 }),
      first.appendBlock(new Uint8Array([3])),
    ]);
    // The page ends without a word; its locks go with it.
    locks.names.clear();

    const journals = createPageJournals(database, locks);
    const [summary] = await journals.list();
    expect(summary).toMatchObject({ id: first.id, busy: false });
    expect(summary?.diskBytes).toBeGreaterThan(3);
    const again = await journals.open(first.id);
    expect(again?.entries).toEqual([
      { type: 'begin', kind: 'upload' },
      { type: 'ack', bytes: 1 },
      { type: 'ack', bytes: 2 },
    ]);
    await again?.appendBlock(new Uint8Array([4]));
    const blocks: number[][] = [];
    for await (const block of again?.blocks() ?? []) blocks.push([...block]);
    expect(blocks).toEqual([[1, 2], [3], [4]]);
    await again?.drop();
    expect(await journals.list()).toEqual([]);
  });

  it('belong to one page at a time', async () => {
    const locks = originLocks();
    const here = createPageJournals(database, locks);
    const there = createPageJournals(database, locks);
    const own = await here.create({ type: 'begin' });
    expect(await there.open(own.id)).toBeNull();
    expect(await there.drop(own.id)).toBe(false);
    expect(await there.list()).toMatchObject([{ busy: true }]);
    await own.close();
    expect(await there.drop(own.id)).toBe(true);
    expect(await there.open(own.id)).toBeNull();
    expect(locks.names.size).toBe(0);
  });

  it('take nothing any more when they are over', async () => {
    const own = await createPageJournals(database, originLocks()).create({ type: 'begin' });
    await own.drop();
    await own.append({ type: 'ack', bytes: 1 });
    expect(await createPageJournals(database, originLocks()).list()).toEqual([]);
  });
});
