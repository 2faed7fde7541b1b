/** What of a file or disk is followed, and when it counts as slow. */
export interface SlowShareOptions {
  /** When more than this share of the last calls was slow, there is a pause. */
  readonly mostSlow: number;
  /** Weight of the last call in the share. */
  readonly weight: number;
  /** After so many looks at `quick` it is tried again: the slow part may be over. */
  readonly retryAfter: number;
}

/** A running share of slow calls, with a second chance from time to time. */
export interface SlowShare {
  readonly quick: boolean;
  note(isSlow: boolean): void;
}

export function createSlowShare({ mostSlow, weight, retryAfter }: SlowShareOptions): SlowShare {
  let slowShare = 0;
  let asked = 0;
  return {
    get quick() {
      if (slowShare <= mostSlow) return true;
      asked++;
      if (asked < retryAfter) return false;
      asked = 0;
      slowShare = mostSlow;
      return true;
    },
    note(isSlow) {
      slowShare += ((isSlow ? 1 : 0) - slowShare) * weight;
    },
  };
}
