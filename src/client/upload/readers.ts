import { Deferred } from '../../flow/index.js';
import type { FileTask } from './file-task.js';
import type { Lane, LaneHost } from './lane.js';

/** What the readers need of their pipeline. */
export interface ReadersHost extends LaneHost {
  createLane(): Lane;
  /** Nothing more is read of `file`: to its end, or because it failed. */
  onEnd(file: FileTask): void;
}

/** With so many files that wait to be read, whoever adds them should wait… */
const MANY_FILES = 1024;
/** …until so few are left. */
const FEW_FILES = 512;

/**
 * Deals files out to lanes, first come first served. A lane that has nothing to read may hold a slab
 * that is not full: it waits for company until whoever adds files had a turn to add more.
 */
export class Readers {
  readonly #host: ReadersHost;
  readonly #idle: Lane[] = [];
  #queue: FileTask[] = [];
  /** Files of the queue that lanes have taken. */
  #taken = 0;
  #busyCount = 0;
  #ended = false;
  #cancelFlush: (() => void) | null = null;
  #ready: Deferred<void> | null = null;

  constructor(host: ReadersHost) {
    this.#host = host;
    host.scope.onEnd(() => this.#drop());
  }

  /** Queues a file; reading starts with the next turn of promises. */
  add(file: FileTask): void {
    this.#queue.push(file);
    if (this.#busyCount === this.#host.sizes.laneCount) return;
    this.#busyCount++;
    const lane = this.#fullestIdle() ?? this.#host.createLane();
    void Promise.resolve().then(() => this.#work(lane));
  }

  /** Resolves when few files are waiting; null: that is so. */
  ready(): Promise<void> | null {
    if (this.#queue.length - this.#taken < MANY_FILES) return null;
    this.#ready ??= new Deferred();
    return this.#ready.promise;
  }

  /** No more files come: no slab waits for company any more. */
  end(): void {
    this.#ended = true;
    this.#flush();
  }

  /** The session is over: gives back the slabs that are being filled. Files left are not read. */
  #drop(): void {
    this.#queue = [];
    this.#taken = 0;
    this.#ready?.resolve();
    for (const lane of this.#idle) lane.drop();
  }

  async #work(lane: Lane): Promise<void> {
    for (let file = this.#next(); file !== null; file = this.#next()) {
      if (file.error === null && !lane.readNow(file)) await lane.read(file);
      this.#host.onEnd(file);
    }
    if (this.#host.scope.ended) lane.drop();
    this.#busyCount--;
    this.#idle.push(lane);
    if (this.#ended) this.#flush();
    else this.#cancelFlush ??= this.#host.scope.after(0, () => this.#flush());
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
      this.#queue = [];
      this.#taken = 0;
      return null;
    }
    this.#taken++;
    // What was taken is let go of from time to time, not only when nothing is left.
    if (this.#taken === MANY_FILES) {
      this.#queue = this.#queue.slice(this.#taken);
      this.#taken = 0;
    }
    if (this.#ready !== null && this.#queue.length - this.#taken <= FEW_FILES) {
      this.#ready.resolve();
      this.#ready = null;
    }
    return file;
  }

  #flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = null;
    // A flush fails only when the session is over.
    for (const lane of this.#idle) lane.flush().catch(() => undefined);
  }
}
