import type { ObjectEntry, ObjectStore } from '../ports.js';

/** Objects that are remembered at a time: some 20 MB. */
const PASS_COUNT = 100_000;

/**
 * Objects below `prefix` by rising key, from the one behind `after` on. Stores list in any order, so each
 * listing gives the next so many; what is put meanwhile may be in it or not.
 */
export async function* objectsInOrder(
  store: ObjectStore,
  prefix: string,
  { after = '', passCount = PASS_COUNT }: { after?: string; passCount?: number } = {},
): AsyncGenerator<ObjectEntry, void, undefined> {
  for (let last = after; ; ) {
    let pass: ObjectEntry[] = [];
    let isCut = false;
    const cut = (): void => {
      pass.sort((a, b) => (a.key < b.key ? -1 : 1));
      isCut ||= pass.length > passCount;
      pass = pass.slice(0, passCount);
    };
    for await (const entry of store.list(prefix)) {
      if (entry.key <= last) continue;
      pass.push(entry);
      if (pass.length >= 2 * passCount) cut();
    }
    cut();
    yield* pass;
    const end = pass.at(-1);
    if (!isCut || end === undefined) return;
    last = end.key;
  }
}
