import { concatBytes } from '../../bytes/index.js';
import { type DedupSession, denseCandidates } from '../../dedup/index.js';
import { HASH_BYTES } from '../../hash/index.js';
import type { Batch, Segment } from './batch.js';
import type { KnownShards } from './known-shards.js';
import type { Lookahead } from './lookahead.js';
import type { GlobalQueries, Turn } from './queries.js';

/** What a lane knows of its questions. */
export interface AskingLane {
  /** Settles when the questions asked so far have been answered, or took too long. */
  responses: Promise<void>;
}

/** Who may know chunks. */
export interface AskerOptions {
  readonly dedup: DedupSession;
  /** What this machine remembers; null: nothing. */
  readonly known: KnownShards | null;
  /** The store; null: it is not asked. */
  readonly queries: GlobalQueries | null;
  readonly lookahead: Lookahead;
}

/**
 * Asks about the chunks of batches, in the order of their lane, before they are placed: first what this
 * machine remembers, then, of what is left, the store.
 */
export class Asker {
  readonly #dedup: DedupSession;
  readonly #known: KnownShards | null;
  readonly #queries: GlobalQueries | null;
  readonly #lookahead: Lookahead;

  constructor({ dedup, known, queries, lookahead }: AskerOptions) {
    this.#dedup = dedup;
    this.#known = known;
    this.#queries = queries;
    this.#lookahead = lookahead;
  }

  /** Resolves, or returns, when the store was asked; `lane.responses` settles when they have come. */
  ask(lane: AskingLane, batch: Batch): void | Promise<void> {
    const looking = this.#known?.lookUp(batch) ?? null;
    if (looking === null) return this.#askStore(lane, batch);
    return looking.then(() => this.#askStore(lane, batch));
  }

  #askStore(lane: AskingLane, batch: Batch): void {
    const queries = this.#queries;
    if (queries === null) return;
    const responses: Promise<void>[] = [];
    const putOff: Segment[] = [];
    const { oneIn } = queries;
    if (oneIn !== null) {
      this.#askDensely(queries, oneIn, batch, responses);
      this.#lookahead.asked(batch);
      if (responses.length === 0) return;
      const before = lane.responses;
      lane.responses = queries.wait(responses).then(() => before);
      return;
    }
    for (const segment of batch.segments) {
      const isWhole = segment.isLast && segment.fileOffset === 0;
      const turn = isWhole ? queries.turnOf(segment.end - segment.start) : 'now';
      if (turn === 'now') this.#askFor(queries, segment, batch, responses);
      else if (turn === 'later') putOff.push(segment);
    }
    this.#lookahead.asked(batch);
    // Also a batch without a question of its own waits for the response that may say that it has some.
    const isPutOff = putOff.length > 0 || queries.isUndecided;
    if (responses.length === 0 && !isPutOff) return;
    const before = lane.responses;
    const all = async (): Promise<void> => {
      await queries.wait(isPutOff ? queries.open : responses);
      // The first response may say that the server takes many chunks at once: then what was put off is
      // asked with all of the batch, and not file by file.
      if (queries.oneIn === null) {
        const rest = await this.#askAgain(queries, putOff, batch, 'later');
        await this.#askAgain(queries, rest, batch, null);
      }
      const learnt = queries.oneIn;
      if (learnt !== null) {
        const dense: Promise<void>[] = [];
        this.#askDensely(queries, learnt, batch, dense);
        await queries.wait(dense);
      }
      await before;
    };
    // A question that cannot be asked is none.
    lane.responses = all().catch(() => undefined);
  }

  /**
   * Asks about segments that were put off, and waits for the responses.
   * @returns those whose turn is `again`
   */
  async #askAgain(
    queries: GlobalQueries,
    segments: readonly Segment[],
    batch: Batch,
    again: Turn | null,
  ): Promise<readonly Segment[]> {
    const rest: Segment[] = [];
    const responses: Promise<void>[] = [];
    for (const segment of segments) {
      const turn = queries.turnOf(segment.end - segment.start);
      if (turn === again) rest.push(segment);
      else if (turn !== 'never') this.#askFor(queries, segment, batch, responses);
    }
    // Whoever is put off again waits for what others have asked, too.
    await queries.wait(rest.length > 0 ? queries.open : responses);
    return rest;
  }

  /** One question for what the server may know of a batch. */
  #askDensely(
    queries: GlobalQueries,
    oneIn: number,
    batch: Batch,
    responses: Promise<void>[],
  ): void {
    const parts: Uint8Array[] = [];
    for (const { file, start, end, fileOffset, isLast, chunkStart, chunkEnd } of batch.segments) {
      if (file.error !== null || chunkStart === chunkEnd) continue;
      const isWhole = isLast && fileOffset === 0;
      if (isWhole && queries.turnOf(end - start) === 'never') continue;
      // The first segment has the first chunk, whatever of the file is before it in the slab.
      const isFirst = (batch.starts[chunkStart] as number) === start - fileOffset;
      const hashes = batch.hashes.subarray(HASH_BYTES * chunkStart, HASH_BYTES * chunkEnd);
      for (const chunk of denseCandidates(hashes, oneIn, isFirst)) {
        parts.push(hashes.subarray(HASH_BYTES * chunk, HASH_BYTES * (chunk + 1)));
      }
    }
    const hashes = concatBytes(parts);
    const unknown = this.#dedup
      .unknownOf(hashes)
      .map((i) => hashes.subarray(HASH_BYTES * i, HASH_BYTES * (i + 1)));
    queries.askMany(concatBytes(unknown), responses);
  }

  #askFor(
    queries: GlobalQueries,
    segment: Segment,
    batch: Batch,
    responses: Promise<void>[],
  ): void {
    const { file, chunkStart, chunkEnd } = segment;
    if (file.error !== null || chunkStart === chunkEnd) return;
    file.handle ??= this.#dedup.openFile();
    const hashes = batch.hashes.subarray(HASH_BYTES * chunkStart, HASH_BYTES * chunkEnd);
    const lengths = batch.lengths.subarray(chunkStart, chunkEnd);
    const indices = this.#dedup.queriesFor(file.handle, hashes, lengths);
    if (indices.length > 0) queries.ask(hashes, indices, responses);
  }
}
