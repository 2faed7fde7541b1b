import type { DownloadPlan } from '../../plan/index.js';
import type { FetchPlan } from './types.js';

/** Adds up what blocks would have fetched. */
export class FetchTally {
  readonly #hosts = new Map<string, number>();
  #fetchBytes = 0;
  #rangeCount = 0;
  #fetchCount = 0;

  add({ windows }: DownloadPlan): void {
    for (const { url, ranges } of windows.flatMap(({ fetches }) => fetches)) {
      const bytes = ranges.reduce((sum, { byteStart, byteEnd }) => sum + byteEnd - byteStart, 0);
      this.#fetchBytes += bytes;
      this.#rangeCount += ranges.length;
      this.#fetchCount++;
      const { host } = new URL(url);
      this.#hosts.set(host, (this.#hosts.get(host) ?? 0) + bytes);
    }
  }

  /** @param askedCount requests that were made to find that out, and that a download makes, too */
  plan(askedCount: number): FetchPlan {
    return {
      fetchBytes: this.#fetchBytes,
      rangeCount: this.#rangeCount,
      requestCount: askedCount + this.#fetchCount,
      hosts: [...this.#hosts].map(([host, fetchBytes]) => ({ host, fetchBytes })),
    };
  }
}
