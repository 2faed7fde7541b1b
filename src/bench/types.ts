/** What one run of one variant measured, in a process of its own. */
export interface Sample {
  /** From just before the process was started until it had ended. */
  readonly wallMs: number;
  /** User and system time of the process, all threads. */
  readonly cpuMs: number;
  /** Peak resident memory of the process. */
  readonly peakBytes: number;
  /** Bytes that the server's sockets received, HTTP headers included; 0 where there is none. */
  readonly wireUpBytes: number;
  /** Bytes that the server's sockets sent. */
  readonly wireDownBytes: number;
  /** Requests that the server saw. */
  readonly requests: number;
  /** Bytes that the server keeps because of this run; 0 where nothing is stored. */
  readonly storedBytes: number;
  /** User and system time of the server meanwhile: the same for all, unless the client causes it. */
  readonly serverCpuMs: number;
}

/** One contender in a scenario: us, or a peer. */
export interface VariantReport {
  readonly name: string;
  /** Of a peer's package; null for us and for those that did not run. */
  readonly version: string | null;
  /** Why it did not run; null when it ran. */
  readonly skipped: string | null;
  /** True when it was expected to run and did not come to its end; `skipped` says how. */
  readonly failed: boolean;
  readonly samples: readonly Sample[];
}

/** What is new in a second input beside a first, at the level of chunks: nobody can send less. */
export interface NewData {
  readonly chunkCount: number;
  /** Uncompressed. */
  readonly rawBytes: number;
  /** As records of a xorb, compressed the way an upload does it. */
  readonly packedBytes: number;
}

/** One question, and the result of each contender. */
export interface ScenarioReport {
  readonly name: string;
  /** The question in one sentence. */
  readonly question: string;
  /** Bytes that one run works on, for throughput. */
  readonly inputBytes: number;
  /** For second versions; null elsewhere. */
  readonly newData: NewData | null;
  /** The first that ran is the one that the ratios refer to. */
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

/** The machine and the programs that a report is about. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly platform: string;
  readonly node: string;
  readonly orbweaver: string;
}

/** Everything of one run of the harness. Version 1 of the JSON form. */
export interface BenchReport {
  readonly version: 1;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly machine: Machine;
  /** Rounds per scenario; contenders take turns, the order is reversed each round. */
  readonly rounds: number;
  /** True when inputs and outputs lay in a memory-backed folder. */
  readonly inMemory: boolean;
  /** Origin of the user's own server, when one was measured. */
  readonly server?: string | undefined;
  readonly kernels: readonly KernelReport[];
  readonly scenarios: readonly ScenarioReport[];
}
