/** A map that forgets what was not used for longest once the weights add up to more than it holds. */
export interface LruCache<Value> {
  get(key: string): Value | undefined;
  /** A value heavier than the whole cache is not kept. */
  set(key: string, value: Value, weightBytes: number): void;
  readonly weightBytes: number;
}

/** Relies on Map keeping insertion order: a hit is taken out and put in again. */
export function createLruCache<Value>(capacityBytes: number): LruCache<Value> {
  const entries = new Map<string, { value: Value; weightBytes: number }>();
  let total = 0;
  const remove = (key: string): void => {
    const entry = entries.get(key);
    if (entry === undefined) return;
    entries.delete(key);
    total -= entry.weightBytes;
  };
  return {
    get(key: string): Value | undefined {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      entries.set(key, entry);
      return entry.value;
    },
    set(key: string, value: Value, weightBytes: number): void {
      remove(key);
      if (weightBytes > capacityBytes) return;
      entries.set(key, { value, weightBytes });
      total += weightBytes;
      for (const oldest of entries.keys()) {
        if (total <= capacityBytes) break;
        remove(oldest);
      }
    },
    get weightBytes(): number {
      return total;
    },
  };
}
