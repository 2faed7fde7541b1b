/** What one run of one variant measured, in a process of its own. */
export interface Sample {
  /** From just before the process was started until it had ended. */
  readonly wallMs: number;
  /** User and system time of the process, all threads. */
  readonly cpuMs: number;
  /** Peak resident memory of the process. */
  readonly peakBytes: number;
  /** Bytes of request bodies that the server saw, 0 where there is none. */
  readonly wireUpBytes: number;
  /** Bytes of answer bodies that the server sent. */
  readonly wireDownBytes: number;
  /** Requests that the server saw. */
  readonly requests: number;
  /** Bytes that the server keeps because of this run (xorbs; 0 where nothing is stored). */
  readonly storedBytes: number;
}

/** One contender in a scenario: us, or a peer. */
export interface VariantReport {
  readonly name: string;
  /** Why it did not run; null when it ran. */
  readonly skipped: string | null;
  readonly samples: readonly Sample[];
}

/** One question, and what each contender answered. */
export interface ScenarioReport {
  readonly name: string;
  /** The question in one sentence. */
  readonly question: string;
  /** Bytes that one run works on, for throughput. */
  readonly inputBytes: number;
  readonly variants: readonly VariantReport[];
}

/** One kernel, timed in a loop. */
export interface KernelReport {
  readonly name: string;
  readonly variant: string;
  /** Bytes that one call works on. */
  readonly bytesPerCall: number;
  /** Median of the calls, in nanoseconds. */
  readonly medianNs: number;
  /** Half the distance between the quartiles as a part of the median. */
  readonly noise: number;
}

/** Everything of one run of the harness. Version 1 of the JSON form. */
export interface BenchReport {
  readonly version: 1;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memoryBytes: number;
    readonly platform: string;
    readonly node: string;
    readonly orbweaver: string;
  };
  /** Rounds per scenario; contenders take turns, the order is reversed each round. */
  readonly rounds: number;
  readonly kernels: readonly KernelReport[];
  readonly scenarios: readonly ScenarioReport[];
}
