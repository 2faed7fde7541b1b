import { OrbweaverError } from '../../errors.js';
import type {
  FetchEntry,
  FetchRange,
  PlannedFetch,
  Reconstruction,
  Term,
} from '../../plan/index.js';

/** A fetch URL and which response it came from. */
export interface CurrentUrl {
  readonly url: string;
  readonly generation: number;
}

/** The URLs of one reconstruction response, which expire and are then asked for again. */
export interface UrlBook {
  current(fetch: PlannedFetch): CurrentUrl;
  /**
   * Called when a URL of `generation` has expired. Many ranges find out at the same time: one asks,
   * the others wait for its response.
   */
  renew(generation: number): Promise<void>;
}

/**
 * @param ask asks for the same bytes of the same file again; null when the server has nothing
 * @throws OrbweaverError from `renew` and `current`: `PROTOCOL` when the new response is about other
 * chunks (the plan in progress would no longer fit), and what `ask` throws
 */
export function createUrlBook(
  first: Reconstruction,
  ask: () => Promise<Reconstruction | null>,
): UrlBook {
  let response = first;
  let generation = 0;
  let entries: ReadonlyMap<string, readonly FetchEntry[]> | undefined;
  let renewing: Promise<void> | undefined;

  const renewNow = async (): Promise<void> => {
    const next = await ask();
    if (next === null || !sameTerms(first, next)) {
      throw new OrbweaverError(
        'PROTOCOL',
        '"reconstruction" expected the same terms with new URLs, got another response',
      );
    }
    response = next;
    entries = undefined;
    generation++;
  };

  return {
    current(fetch) {
      // The plan was made from the first response and carries its URLs.
      if (generation === 0) return { url: fetch.url, generation };
      entries ??= new Map(response.fetches.map((each) => [each.xorb.toString(), each.entries]));
      const entry = entries
        .get(fetch.xorb.toString())
        ?.find((candidate) => fetch.ranges.every((range) => hasRange(candidate, range)));
      if (entry === undefined) {
        throw new OrbweaverError(
          'PROTOCOL',
          '"reconstruction" expected the same ranges with new URLs, got others',
          { xorb: fetch.xorb.toString() },
        );
      }
      return { url: entry.url, generation };
    },
    async renew(seen) {
      if (seen < generation) return;
      renewing ??= renewNow().finally(() => {
        renewing = undefined;
      });
      await renewing;
    },
  };
}

function hasRange(entry: FetchEntry, wanted: FetchRange): boolean {
  const keys = ['chunkStart', 'chunkEnd', 'byteStart', 'byteEnd'] as const;
  return entry.ranges.some((range) => keys.every((key) => range[key] === wanted[key]));
}

function sameTerms(a: Reconstruction, b: Reconstruction): boolean {
  const keys = ['chunkStart', 'chunkEnd', 'unpackedBytes'] as const;
  return (
    a.offsetIntoFirstTerm === b.offsetIntoFirstTerm &&
    a.terms.length === b.terms.length &&
    a.terms.every((term, i) => {
      const other = b.terms[i] as Term;
      return keys.every((key) => term[key] === other[key]) && term.xorb.equals(other.xorb);
    })
  );
}
