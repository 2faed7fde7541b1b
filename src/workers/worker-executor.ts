import type { WasmMemory } from '../kernels/index.js';
import type { MemoryPlan } from './memory-plan.js';
import type {
  Sha256Setup,
  Sha256Task,
  SharedSetup,
  Task,
  WorkerAnswer,
  WorkerSetup,
} from './messages.js';
import type { Sha256Answer } from './sha256-runner.js';
import { programFile } from './tasks/program-file.js';
import { ThreadExecutor } from './thread-executor.js';

/** What the workers of a pool are started with. */
export interface WorkerExecutorParts extends Pick<WorkerSetup, 'tier' | 'compression' | 'module'> {
  readonly plan: MemoryPlan;
  /** Null: buffers are transferred. */
  readonly memory: WasmMemory | null;
  readonly threads: number;
}

/** The threads that run tasks. @throws Error when their program is not there */
export function createWorkerExecutor(
  parts: WorkerExecutorParts,
): ThreadExecutor<Task, WorkerAnswer> {
  const { plan, memory, threads, tier, compression, module } = parts;
  const owners = new Int32Array(new SharedArrayBuffer(4 * plan.scratchCount));
  const shared: SharedSetup | null =
    memory === null
      ? null
      : {
          memory,
          slabBytes: plan.slabBytes,
          scratchBase: plan.scratchBase,
          scratchBytes: plan.scratchBytes,
          owners,
        };
  const setup: WorkerSetup = { tier, compression, shared, module };
  return new ThreadExecutor(
    {
      module: programFile('./worker-main.cjs', import.meta.url),
      handler: 'handleTask',
      threads,
      setup,
      onExit: (live) => {
        for (let i = 1; i < owners.length; i++) {
          const owner = Atomics.load(owners, i);
          if (owner !== 0 && !live.has(owner)) Atomics.compareExchange(owners, i, owner, 0);
        }
      },
    },
    { kind: 'ping' },
  );
}

/** The one thread for SHA-256 in stream order: the state of a hash cannot move between workers. */
export function createSha256Executor(
  memory: WasmMemory | null,
): ThreadExecutor<Sha256Task, Sha256Answer> {
  return new ThreadExecutor<Sha256Task, Sha256Answer>(
    {
      module: programFile('./sha256-main.cjs', import.meta.url),
      handler: 'handleSha256',
      threads: 1,
      setup: { memory } satisfies Sha256Setup,
    },
    { kind: 'drop', stream: -1 },
  );
}
