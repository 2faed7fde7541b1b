/** Says who works with a transfer: one page at a time. */
export interface Locks {
  /** Null: another page has it. The end of the page gives it up as well. */
  hold(name: string): Promise<Release | null>;
  /** Names that some page holds. */
  held(): Promise<ReadonlySet<string>>;
}

/** Gives a lock up; when it has resolved, others can have it. */
export type Release = () => Promise<void>;

export const NOTHING_HELD: Release = async () => {};

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
      if (locks === undefined) return Promise.resolve(NOTHING_HELD);
      return new Promise((resolve, reject) => {
        const released = locks.request(name, { ifAvailable: true }, (lock) => {
          if (lock === null) {
            resolve(null);
            return undefined;
          }
          return new Promise<void>((end) => {
            resolve(async () => {
              end();
              await released;
            });
          });
        });
        released.catch(reject);
      });
    },
    async held() {
      const { held = [] } = (await locks?.query()) ?? {};
      return new Set(held.map(({ name = '' }) => name));
    },
  };
}
