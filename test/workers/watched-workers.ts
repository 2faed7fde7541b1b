import { createRequire } from 'node:module';
import type { Worker } from 'node:worker_threads';

const threads = createRequire(import.meta.url)('node:worker_threads') as { Worker: typeof Worker };

/** A thread whose end can be held back: it has ended, but nobody is told yet. */
export interface WatchedWorker extends Worker {
  holdExit(): void;
  letExit(): void;
}

/** What a test does with the threads that are started meanwhile. */
export interface Watched {
  readonly started: WatchedWorker[];
  /** Called within each call of `terminate`. */
  onTerminate: () => void;
  /** Puts the class of Node back. */
  restore(): void;
}

/** Replaces the class of threads, which piscina takes from the module object for each thread. */
export function watchWorkers(): Watched {
  const Original = threads.Worker;
  const watched: Watched = {
    started: [],
    onTerminate: () => {},
    restore: () => {
      threads.Worker = Original;
    },
  };
  threads.Worker = class extends Original implements WatchedWorker {
    #held: unknown[][] | null = null;

    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args);
      watched.started.push(this);
    }

    override emit(...args: Parameters<Worker['emit']>): boolean {
      if ((args[0] as string) !== 'exit' || this.#held === null) return super.emit(...args);
      this.#held.push(args);
      return true;
    }

    /** Node does this right after the event. */
    override removeAllListeners(...args: Parameters<Worker['removeAllListeners']>): this {
      return this.#held === null ? super.removeAllListeners(...args) : this;
    }

    override terminate(): Promise<number> {
      watched.onTerminate();
      return super.terminate();
    }

    holdExit(): void {
      this.#held = [];
    }

    letExit(): void {
      const held = this.#held ?? [];
      this.#held = null;
      for (const args of held) super.emit(...(args as Parameters<Worker['emit']>));
    }
  };
  return watched;
}
