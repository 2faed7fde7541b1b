import type { FileTask } from './file-task.js';
import { Lane, type LaneHost } from './lane.js';

/** What the readers need of their run. */
export interface ReadersHost extends LaneHost {
  /** Nothing more is read of `file`: to its end, or because it failed. */
  onEnd(file: FileTask): void;
}

/**
 * Deals files out to lanes, first come first served. A lane that has nothing to read may hold a slab
 * that is not full: it waits for company until whoever adds files had a turn to add more.
 */
export class Readers {
  readonly #host: ReadersHost;
  readonly #idle: Lane[] = [];
  readonly #queue: FileTask[] = [];
  /** Files of the queue that lanes have taken. */
  #taken = 0;
  #busyCount = 0;
  #ended = false;
  #flushing: ReturnType<typeof setTimeout> | null = null;

  constructor(host: ReadersHost) {
    this.#host = host;
  }

  /** Queues a file; reading starts with the next turn of promises. */
  add(file: FileTask): void {
    this.#queue.push(file);
    if (this.#busyCount === this.#host.sizes.laneCount) return;
    this.#busyCount++;
    const lane = this.#fullestIdle() ?? new Lane(this.#host);
    void Promise.resolve().then(() => this.#work(lane));
  }

  /** No more files come: no slab waits for company any more. */
  end(): void {
    this.#ended = true;
    this.#flush();
  }

  /** The session is over: gives back the slabs that are being filled. Files left are not read. */
  drop(): void {
    this.#queue.length = 0;
    this.#taken = 0;
    for (const lane of this.#idle) lane.drop();
  }

  async #work(lane: Lane): Promise<void> {
    for (let file = this.#next(); file !== null; file = this.#next()) {
      if (file.error !== null) continue;
      if (!lane.readNow(file)) await lane.read(file);
      this.#host.onEnd(file);
    }
    if (this.#host.scope.aborted) lane.drop();
    this.#busyCount--;
    this.#idle.push(lane);
    if (this.#ended) this.#flush();
    else this.#flushing ??= setTimeout(() => this.#flush(), 0);
  }

  /** Small files go where others wait: a slab that is full soon keeps the workers busy. */
  #fullestIdle(): Lane | undefined {
    const idle = this.#idle;
    let best = idle.length - 1;
    for (let i = 0; i < best; i++) {
      if ((idle[i] as Lane).fill > (idle[best] as Lane).fill) best = i;
    }
    return idle.splice(best, 1)[0];
  }

  #next(): FileTask | null {
    const file = this.#queue[this.#taken];
    if (file === undefined) {
      this.#queue.length = 0;
      this.#taken = 0;
      return null;
    }
    this.#taken++;
    return file;
  }

  #flush(): void {
    if (this.#flushing !== null) clearTimeout(this.#flushing);
    this.#flushing = null;
    // A flush fails only when the session is over.
    for (const lane of this.#idle) lane.flush().catch(() => undefined);
  }
}
