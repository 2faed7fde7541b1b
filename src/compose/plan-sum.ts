import type { FetchPlan } from '../client/downloads.js';

/** What several files together would fetch. */
export class PlanSum {
  readonly #hosts = new Map<string, number>();
  readonly #counts = { fetchBytes: 0, rangeCount: 0, requestCount: 0 };

  add({ hosts, fetchBytes, rangeCount, requestCount }: FetchPlan): void {
    for (const each of hosts) {
      this.#hosts.set(each.host, (this.#hosts.get(each.host) ?? 0) + each.fetchBytes);
    }
    this.#counts.fetchBytes += fetchBytes;
    this.#counts.rangeCount += rangeCount;
    this.#counts.requestCount += requestCount;
  }

  plan(): FetchPlan {
    const hosts = [...this.#hosts].map(([host, fetchBytes]) => ({ host, fetchBytes }));
    return { ...this.#counts, hosts };
  }
}
