/**
 * Long work cut into steps. A generator works until somebody else should have a turn, yields, and goes on
 * when it is asked again: a server lets its other requests in between, and who has nobody to serve runs it
 * to its end at once.
 */

/**
 * Entries (terms, chunks, files: a microsecond each, several before the code has been compiled) between two
 * yields, so that a step takes some milliseconds, and far less than 50 on a slow machine.
 */
export const ENTRIES_PER_STEP = 2048;

/** Runs it to its end. */
export function runSteps<Result>(steps: Generator<void, Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/**
 * Counts what was done: true each time a step's worth of it has come together.
 *
 * @param perStep @default ENTRIES_PER_STEP
 * @example
 * const isDue = createStepMeter();
 * for (const entry of entries) {
 *   work(entry);
 *   if (isDue(1)) yield;
 * }
 */
export function createStepMeter(perStep: number = ENTRIES_PER_STEP): (entries: number) => boolean {
  let done = 0;
  return (entries) => {
    done += entries;
    if (done < perStep) return false;
    done = 0;
    return true;
  };
}

/** Entries that are sorted at once: the built-in sort is the quickest, and cannot be interrupted. */
const SORTED_AT_ONCE = 1024;

/** The numbers below `count`, sorted; equal ones keep their order. */
export function* orderInSteps(
  count: number,
  compare: (a: number, b: number) => number,
): Generator<void, Uint32Array> {
  const isDue = createStepMeter();
  let sorted = new Uint32Array(count);
  for (let at = 0; at < count; at += SORTED_AT_ONCE) {
    const part = sorted.subarray(at, at + SORTED_AT_ONCE);
    for (let i = 0; i < part.length; i++) part[i] = at + i;
    part.sort(compare);
    if (isDue(2 * SORTED_AT_ONCE)) yield;
  }
  let merged = new Uint32Array(count > SORTED_AT_ONCE ? count : 0);
  for (let width = SORTED_AT_ONCE; width < count; width *= 2) {
    let to = 0;
    for (let start = 0; start < count; start += 2 * width) {
      const middle = Math.min(start + width, count);
      const end = Math.min(middle + width, count);
      let left = start;
      let right = middle;
      while (left < middle || right < end) {
        const takesLeft =
          right >= end ||
          (left < middle && compare(sorted[left] as number, sorted[right] as number) <= 0);
        merged[to++] = sorted[takesLeft ? left++ : right++] as number;
        if (isDue(1)) yield;
      }
    }
    [sorted, merged] = [merged, sorted];
  }
  return sorted;
}

/** A sorted copy; equal ones keep their order. */
export function* sortInSteps<Item>(
  items: readonly Item[],
  compare: (a: Item, b: Item) => number,
): Generator<void, Item[]> {
  const order = yield* orderInSteps(items.length, (a, b) =>
    compare(items[a] as Item, items[b] as Item),
  );
  const isDue = createStepMeter();
  const sorted: Item[] = [];
  for (const index of order) {
    sorted.push(items[index] as Item);
    if (isDue(1)) yield;
  }
  return sorted;
}

/** Bytes that are compared in one step. */
const COMPARED_BYTES = 512 * 1024;

/** Whether both hold the same bytes. */
export function* bytesEqualInSteps(a: Uint8Array, b: Uint8Array): Generator<void, boolean> {
  if (a.length !== b.length) return false;
  for (let start = 0; start < a.length; start += COMPARED_BYTES) {
    const end = Math.min(a.length, start + COMPARED_BYTES);
    for (let at = start; at < end; at++) if (a[at] !== b[at]) return false;
    yield;
  }
  return true;
}
