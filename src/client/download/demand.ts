import type { Scope } from '../../flow/index.js';

/** What could be read at once when a connection has more than the process takes: the rest waits in the system. */
const BACKLOG_BYTES = 1 << 16;

/** It is decided so often. */
const LOOK_MS = 15;

/**
 * Whether a download has use for more connections. One that is faster than the process that reads it
 * has megabytes waiting in the system, which are lost when the process is killed, and another one would
 * bring nothing. So every 15 ms there is use for twice as many, unless one of them has such a backlog: a
 * slow link has all of them within 60 ms, and one that is faster than the disk goes on with one or two.
 */
export class Demand {
  readonly #scope: Scope;
  /** Connections whose last read was full. */
  readonly #backlog = new Set<object>();
  /** Connections whose read has brought nothing yet, with its number. */
  readonly #waiting = new Map<object, number>();
  #readCount = 0;
  /** Reads up to this one were there at the last look. */
  #lookedAt = 0;
  /** Since the last look. */
  readonly #readEmpty = new Set<object>();
  #hadBacklog = false;
  #isTimed = false;
  readonly #listeners = new Set<(count: number) => number>();

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /** Some connection has more than is read. */
  get hasBacklog(): boolean {
    return this.#backlog.size > 0;
  }

  /** `open` is told how many more there may be, and says how many it opened. The returned function ends that. */
  onMore(open: (count: number) => number): () => void {
    this.#listeners.add(open);
    return () => this.#listeners.delete(open);
  }

  /** `connection` is asked for bytes. */
  asked(connection: object): void {
    this.#waiting.set(connection, ++this.#readCount);
    this.#watch();
  }

  /** What came of it; 0: nothing. */
  answered(connection: object, gotBytes: number, roomBytes: number): void {
    this.#waiting.delete(connection);
    if (gotBytes === roomBytes) {
      // The last bytes of a slab are no measure.
      if (roomBytes < BACKLOG_BYTES) return;
      this.#backlog.add(connection);
      this.#hadBacklog = true;
    } else {
      this.#backlog.delete(connection);
      this.#readEmpty.add(connection);
    }
  }

  /** It is not read any more. */
  left(connection: object): void {
    this.#backlog.delete(connection);
    this.#waiting.delete(connection);
  }

  /**
   * One timer for all: there are thousands of reads in a second. Who waits counts at the second look,
   * because a process that is late looks before it reads what has come meanwhile.
   */
  #watch(): void {
    if (this.#isTimed) return;
    this.#isTimed = true;
    this.#scope.after(LOOK_MS, () => {
      this.#isTimed = false;
      let silentCount = 0;
      for (const read of this.#waiting.values()) if (read <= this.#lookedAt) silentCount++;
      this.#lookedAt = this.#readCount;
      let more = Math.max(silentCount, this.#readEmpty.size);
      if (this.#hadBacklog || this.#backlog.size > 0) more = 0;
      this.#hadBacklog = false;
      this.#readEmpty.clear();
      for (const open of this.#listeners) if (more > 0) more -= open(more);
      if (this.#waiting.size > 0) this.#watch();
    });
  }
}
