/** Says who works with a transfer: one page at a time. */
export interface Locks {
  /** Null: another page has it. What comes back gives it up; the end of the page does so too. */
  hold(name: string): Promise<(() => void) | null>;
  /** Names that some page holds. */
  held(): Promise<ReadonlySet<string>>;
}

/** The part of a page's Web Locks that is used. */
interface PageLocks {
  request(
    name: string,
    options: { readonly ifAvailable: true },
    callback: (lock: object | null) => Promise<void> | undefined,
  ): Promise<unknown>;
  query(): Promise<{ readonly held?: readonly { readonly name?: string }[] }>;
}

/**
 * Web Locks of the page's origin. Where there are none (a page over plain `http:`), nobody is known to
 * work with anything.
 */
export function pageLocks(): Locks {
  const { locks } = (globalThis as { navigator?: { locks?: PageLocks } }).navigator ?? {};
  return {
    hold(name) {
      if (locks === undefined) return Promise.resolve(() => {});
      return new Promise((resolve, reject) => {
        locks
          .request(name, { ifAvailable: true }, (lock) => {
            if (lock === null) {
              resolve(null);
              return undefined;
            }
            return new Promise<void>((release) => resolve(() => release()));
          })
          .catch(reject);
      });
    },
    async held() {
      const { held = [] } = (await locks?.query()) ?? {};
      return new Set(held.map(({ name = '' }) => name));
    },
  };
}
