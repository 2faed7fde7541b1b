import { HASH_BYTES } from '../hash/index.js';
import { HASH_WORDS } from './chunk-index.js';
import type { Batch, ChunkSource } from './chunk-source.js';
import type { FileState } from './file-state.js';
import type { OutsideSources } from './outside-sources.js';
import type { KnownRun, PlacementPolicy } from './ports.js';
import { Repeats } from './repeats.js';
import type { SessionXorbs } from './session-xorbs.js';
import type { ClosedXorb, NewRun, PlaceResult } from './types.js';

/** What a placer goes by. */
export interface PlacerOptions {
  readonly policy: PlacementPolicy;
  /** A file with more terms is told of. */
  readonly maxFileTerms: number;
}

/** A known run and where it was found. */
interface Candidate extends KnownRun {
  readonly source: ChunkSource;
  readonly entry: number;
}

/**
 * Goes through a batch from left to right. At each position, in this order:
 *
 * 1. what follows the last chunk in its xorb continues the term: taken, as long as it goes;
 * 2. a chunk that repeats the one before refers to as many copies of it as lie side by side, or
 *    becomes one more copy ({@link Repeats});
 * 3. every other place of the chunk starts a candidate run; the policy chooses one, and may refuse
 *    it (`mayRefuse`); a refused stretch is stored again, except for what may not be refused;
 * 4. a chunk without a place is appended to the open xorb, which makes it known at once.
 */
export class Placer {
  readonly #xorbs: SessionXorbs;
  readonly #outside: OutsideSources;
  readonly #policy: PlacementPolicy;
  readonly #maxFileTerms: number;
  readonly #repeats: Repeats;
  readonly #entries: number[] = [];

  constructor(
    xorbs: SessionXorbs,
    outside: OutsideSources,
    { policy, maxFileTerms }: PlacerOptions,
  ) {
    this.#xorbs = xorbs;
    this.#repeats = new Repeats(xorbs);
    this.#outside = outside;
    this.#policy = policy;
    this.#maxFileTerms = maxFileTerms;
  }

  place(file: FileState, batch: Batch): PlaceResult {
    const newRuns: NewRun[] = [];
    const closed: ClosedXorb[] = [];
    const { outsideBytes } = file;
    let refusedUntil = 0;
    for (let chunk = 0; chunk < batch.count; ) {
      const repeats = this.#repeats.count(file, batch, chunk);
      if (repeats > 0) {
        chunk = this.#placeRepeats(file, batch, chunk, chunk + repeats, newRuns, closed);
        continue;
      }
      const run = this.#continuation(file, batch, chunk) ?? this.#choose(file, batch, chunk);
      if (run !== null && 'refused' in run) {
        refusedUntil = Math.max(refusedUntil, chunk + run.refused);
      }
      if (run !== null && 'entry' in run) {
        this.#refer(file, batch, chunk, run);
        chunk += run.chunkCount;
        continue;
      }
      if (chunk >= refusedUntil) {
        chunk = this.#storeUnknown(file, batch, chunk, newRuns, closed);
        continue;
      }
      // Up to the end of a refused stretch only what may not be refused is looked up again.
      for (; chunk < refusedUntil; chunk++) {
        const must = this.#mandatory(file, batch, chunk);
        if (must !== null) {
          this.#refer(file, batch, chunk, must);
          chunk += must.chunkCount - 1;
          continue;
        }
        file.refusedBytes += batch.lengths[chunk] as number;
        this.#store(file, batch, chunk, newRuns, closed);
      }
    }
    return {
      newRuns,
      closed,
      outsideBytes: file.outsideBytes - outsideBytes,
      tooManyTerms: file.termCount > this.#maxFileTerms,
    };
  }

  /** Places chunks `[start, end)`, which repeat the one before; returns where it got to. */
  #placeRepeats(
    file: FileState,
    batch: Batch,
    start: number,
    end: number,
    newRuns: NewRun[],
    closed: ClosedXorb[],
  ): number {
    const repeated = this.#repeats.note(file, batch, start, end - start);
    let chunk = start;
    while (chunk < end) {
      let run = this.#continuation(file, batch, chunk);
      if (run === null && this.#repeats.wantsCopy(repeated, batch.lengths[chunk] as number)) {
        this.#store(file, batch, chunk, newRuns, closed);
        this.#repeats.stored(repeated);
        chunk++;
        continue;
      }
      run ??= this.#candidate(file, batch, chunk, repeated.source, repeated.start);
      // A shard that lies about lengths; what the file placed last is right in any case.
      run ??= this.#candidate(file, batch, chunk, ...tailOf(file));
      if (run === null) throw new TypeError('a repeated chunk expected to be where it was placed');
      this.#refer(file, batch, chunk, run);
      chunk += run.chunkCount;
    }
    return chunk;
  }

  /** True when any table has the chunk. */
  isKnown(batch: Batch, chunk: number): boolean {
    const at = chunk * HASH_WORDS;
    if (this.#xorbs.source.index.find(batch.words, at, this.#entries) > 0) return true;
    for (const source of this.#outside.all) {
      const words = batch.wordsFor(source, chunk);
      if (source.index.find(words, at, this.#entries) > 0) return true;
    }
    return false;
  }

  /** The run that makes the last term longer, found without a look-up. */
  #continuation(file: FileState, batch: Batch, chunk: number): Candidate | null {
    if (file.tail === null) return null;
    const { source, entry } = file.tail;
    // What was stored last is the end of its xorb as a rule.
    if (entry + 1 === source.index.count) return null;
    const span = source.spanOf(entry);
    if (entry + 1 >= source.endOf(span)) return null;
    return this.#candidate(file, batch, chunk, source, entry + 1);
  }

  /** The best run at this position, the length of a refused one, or null when nobody knows it. */
  #choose(file: FileState, batch: Batch, chunk: number): Candidate | { refused: number } | null {
    const candidates = this.#candidates(file, batch, chunk);
    const best = choose(file, candidates);
    if (best === null) return null;
    if (best.continues || this.#isMandatory(best) || file.placement.accepts(best)) return best;
    const refused = best.chunkCount;
    const must = choose(
      file,
      candidates.filter((candidate) => this.#isMandatory(candidate)),
    );
    return must ?? { refused };
  }

  /** The best run that may not be refused. */
  #mandatory(file: FileState, batch: Batch, chunk: number): Candidate | null {
    const candidates: Candidate[] = [];
    this.#find(file, batch, chunk, this.#xorbs.source, candidates);
    return choose(
      file,
      candidates.filter((candidate) => this.#isMandatory(candidate)),
    );
  }

  #isMandatory(run: KnownRun): boolean {
    const isOurs = run.origin === 'session' || run.origin === 'resumed';
    return run.open || (isOurs && this.#policy.mayRefuse === 'outside');
  }

  #candidates(file: FileState, batch: Batch, chunk: number): Candidate[] {
    const candidates: Candidate[] = [];
    this.#find(file, batch, chunk, this.#xorbs.source, candidates);
    for (const source of this.#outside.all) this.#find(file, batch, chunk, source, candidates);
    return candidates;
  }

  #find(
    file: FileState,
    batch: Batch,
    chunk: number,
    source: ChunkSource,
    candidates: Candidate[],
  ): void {
    const words = batch.wordsFor(source, chunk);
    source.index.find(words, chunk * HASH_WORDS, this.#entries);
    for (const entry of this.#entries) {
      const candidate = this.#candidate(file, batch, chunk, source, entry);
      if (candidate !== null) candidates.push(candidate);
    }
  }

  #candidate(
    file: FileState,
    batch: Batch,
    chunk: number,
    source: ChunkSource,
    entry: number,
  ): Candidate | null {
    const span = source.spanOf(entry);
    const chunkCount = source.runLength(span, entry, batch, chunk);
    if (chunkCount === 0) return null;
    const xorb = source.idOf(span);
    const chunkStart = source.chunkOf(span, entry);
    const last = entry + chunkCount - 1;
    return {
      source,
      entry,
      xorb,
      chunkStart,
      chunkCount,
      rawStart: source.index.rawStart(entry),
      rawEnd: source.rawEnd(span, last),
      origin: source.originOf(span),
      open: source === this.#xorbs.source && span === this.#xorbs.openSlot,
      openEnded: chunk + chunkCount === batch.count && last + 1 < source.endOf(span),
      continues: file.continuesTerm(xorb, chunkStart),
    };
  }

  #refer(file: FileState, batch: Batch, chunk: number, run: Candidate): void {
    const end = chunk + run.chunkCount;
    const startsTerm = file.append({
      xorb: run.xorb,
      chunkStart: run.chunkStart,
      bytes: run.rawEnd - run.rawStart,
      hashes: batch.hashes.subarray(chunk * HASH_BYTES, end * HASH_BYTES),
      lengths: batch.lengths.subarray(chunk, end),
      origin: run.origin,
      source: run.source,
      lastEntry: run.entry + run.chunkCount - 1,
    });
    const { xorb, chunkCount, rawStart, rawEnd } = run;
    file.placement.placed({ xorb, chunkCount, rawStart, rawEnd, isNew: false, startsTerm });
    this.#outside.touch(run.source);
  }

  /**
   * Stores the chunk at `start`, which nobody knows, and those that follow it up to the next known
   * one; returns where that is. What follows a new chunk in its xorb is not there yet, so that no
   * run can go on meanwhile, and one look-up per chunk is all.
   */
  #storeUnknown(
    file: FileState,
    batch: Batch,
    start: number,
    newRuns: NewRun[],
    closed: ClosedXorb[],
  ): number {
    let from = start;
    let end = start;
    do {
      if (this.#xorbs.isFullFor(batch.lengths[end] as number)) {
        this.#note(file, batch, from, end, newRuns);
        from = end;
        this.#closeFull(closed);
      }
      this.#xorbs.append(batch.words, end * HASH_WORDS, batch.lengths[end] as number);
      end++;
    } while (end < batch.count && !this.isKnown(batch, end));
    this.#note(file, batch, from, end, newRuns);
    return end;
  }

  /** Stores one chunk, known or not. */
  #store(
    file: FileState,
    batch: Batch,
    chunk: number,
    newRuns: NewRun[],
    closed: ClosedXorb[],
  ): void {
    const length = batch.lengths[chunk] as number;
    if (this.#xorbs.isFullFor(length)) this.#closeFull(closed);
    this.#xorbs.append(batch.words, chunk * HASH_WORDS, length);
    this.#note(file, batch, chunk, chunk + 1, newRuns);
  }

  #closeFull(closed: ClosedXorb[]): void {
    const full = this.#xorbs.close();
    if (full !== null) closed.push(full);
  }

  /** Chunks `[start, end)` were appended to the open xorb last: notes them as the file's next part. */
  #note(file: FileState, batch: Batch, start: number, end: number, newRuns: NewRun[]): void {
    if (start === end) return;
    const { source, openSlot: slot } = this.#xorbs;
    const chunkCount = end - start;
    const entry = source.endOf(slot) - chunkCount;
    const xorb = source.idOf(slot);
    const rawStart = source.index.rawStart(entry);
    const rawEnd = source.rawBytesOf(slot);
    const startsTerm = file.append({
      xorb,
      chunkStart: source.chunkOf(slot, entry),
      bytes: rawEnd - rawStart,
      hashes: batch.hashes.subarray(start * HASH_BYTES, end * HASH_BYTES),
      lengths: batch.lengths.subarray(start, end),
      origin: null,
      source,
      lastEntry: entry + chunkCount - 1,
    });
    file.placement.placed({ xorb, chunkCount, rawStart, rawEnd, isNew: true, startsTerm });
    const last = newRuns[newRuns.length - 1];
    if (last !== undefined && last.slot === slot && last.end === start) {
      newRuns[newRuns.length - 1] = { slot, start: last.start, end };
    } else {
      newRuns.push({ slot, start, end });
    }
  }
}

function tailOf(file: FileState): [ChunkSource, number] {
  const { source, entry } = file.tail as NonNullable<FileState['tail']>;
  return [source, entry];
}

/** The longest run that continues the last term, else the policy's choice; null without any. */
function choose(file: FileState, candidates: readonly Candidate[]): Candidate | null {
  let best: Candidate | null = null;
  for (const candidate of candidates) {
    if (candidate.continues && candidate.chunkCount > (best?.chunkCount ?? 0)) best = candidate;
  }
  if (best !== null || candidates.length === 0) return best;
  return candidates[file.placement.choose(candidates)] ?? null;
}
