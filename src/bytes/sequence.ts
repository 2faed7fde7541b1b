/**
 * Items in order that may be made when they are asked for, of bytes that lie packed. Half a million objects
 * that wait for their turn keep the collector, and so everybody, busy; an array is a sequence too.
 */
export interface Sequence<Item> extends Iterable<Item> {
  readonly length: number;
  /** Undefined outside of `[0, length)`. */
  at(index: number): Item | undefined;
}

/** The sequence of what `at` gives for the indexes below `length`. */
export function sequenceOf<Item>(length: number, at: (index: number) => Item): Sequence<Item> {
  return {
    length,
    at: (index) => (index >= 0 && index < length ? at(index) : undefined),
    *[Symbol.iterator]() {
      for (let index = 0; index < length; index++) yield at(index);
    },
  };
}
