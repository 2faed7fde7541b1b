import type { SlabSegment } from '../client/ports.js';
import type { ErrorCode, ErrorFields } from '../errors.js';
import type { WasmModule } from '../kernels/index.js';

/**
 * What travels between the pool and its workers. Messages carry numbers and typed arrays only:
 * never one object per chunk, and no class instances, which lose their prototype on the way.
 */

/**
 * A slab in a message: its offset in the shared memory, or, without shared memory, its bytes, whose
 * buffer is transferred to the worker and back.
 */
export type SlabRef = number | Uint8Array;

/** Cuts segments and hashes their chunks. */
export interface ChunkTask {
  readonly kind: 'chunk';
  readonly slab: SlabRef;
  readonly segments: readonly SlabSegment[];
}

/** Hashes chunks `starts[i]`, `lengths[i]` with the data key. */
export interface HashTask {
  readonly kind: 'hash';
  readonly slab: SlabRef;
  readonly starts: Uint32Array;
  readonly lengths: Uint32Array;
}

/** Packs chunks into records. `target` null: in place. */
export interface PackTask {
  readonly kind: 'pack';
  readonly slab: SlabRef;
  readonly target: SlabRef | null;
  readonly targetOffset: number;
  readonly starts: Uint32Array;
  readonly lengths: Uint32Array;
}

/** Decodes and hashes runs of whole records. */
export interface DecodeTask {
  readonly kind: 'decode';
  readonly slab: SlabRef;
  readonly target: SlabRef;
  /** As in `DecodeRequest`. */
  readonly runs: Uint32Array;
}

/** Decodes and hashes whole records and keeps the hashes only. */
export interface VerifyTask {
  readonly kind: 'verify';
  readonly slab: SlabRef;
  readonly start: number;
  readonly end: number;
}

/** Does nothing: makes a pool start a worker. */
export interface PingTask {
  readonly kind: 'ping';
}

export type Task = ChunkTask | HashTask | PackTask | DecodeTask | VerifyTask | PingTask;

/** What `SegmentChunks` says, of all segments in one list each; segment i ends at entry `…Ends[i]`. */
export interface ChunkReply {
  readonly candidates: Uint32Array;
  readonly candidateEnds: Uint32Array;
  readonly certainStarts: Uint32Array;
  /** 32 bytes an entry. */
  readonly hashes: Uint8Array;
  readonly hashEnds: Uint32Array;
  /** 32 bytes for each segment, zeros where it was not asked for. */
  readonly sha256: Uint8Array;
}

export interface HashReply {
  readonly hashes: Uint8Array;
}

export interface PackReply {
  readonly packedBytes: number;
  readonly recordLengths: Uint32Array;
}

export interface DecodeReply {
  readonly lengths: Uint32Array;
  readonly hashes: Uint8Array;
}

interface Replies {
  readonly chunk: ChunkReply;
  readonly hash: HashReply;
  readonly pack: PackReply;
  readonly decode: DecodeReply;
  readonly verify: HashReply;
  readonly ping: null;
}

/** The reply that belongs to a task. */
export type ReplyOf<T extends Task> = Replies[T['kind']];

/** A failure in a form that survives the way out of a thread. */
export interface TaskFailure {
  readonly ok: false;
  /** Null: not one of ours, a fault. */
  readonly code: ErrorCode | null;
  readonly message: string;
  readonly fields: ErrorFields;
}

export interface TaskSuccess {
  readonly ok: true;
  readonly reply: ReplyOf<Task>;
}

export type TaskOutcome = TaskSuccess | TaskFailure;

/** What a worker sends back: the outcome, and the buffers that travelled with the task. */
export interface WorkerReply {
  readonly outcome: TaskOutcome;
  readonly buffers: readonly Uint8Array[];
}

/** What a worker is started with. */
export interface WorkerSetup {
  readonly tier: 'simd' | 'portable' | 'readable';
  readonly compression: 'auto' | 'none' | 'lz4' | 'bg4-lz4' | 'smallest';
  readonly shared: SharedSetup | null;
  /** The compiled kernels, for shared memory if `shared` is there; null: the tier has none. */
  readonly module: WasmModule | null;
}

/** The shared memory as a worker sees it. */
export interface SharedSetup {
  /** A `WebAssembly.Memory`, which threads pass on by reference. */
  readonly memory: { readonly buffer: ArrayBufferLike; grow(pages: number): number };
  readonly slabBytes: number;
  readonly scratchBase: number;
  readonly scratchBytes: number;
  /** One entry per scratch space: 0 = free, else the id of the thread that uses it. */
  readonly owners: Int32Array;
}

/** Steps of a SHA-256. */
export type Sha256Task =
  | {
      readonly kind: 'update';
      readonly stream: number;
      /** Number of the update in its stream, from 0: a thread that was restarted notices. */
      readonly sequence: number;
      readonly slab: SlabRef;
      readonly start: number;
      readonly end: number;
    }
  | { readonly kind: 'digest'; readonly stream: number; readonly sequence: number }
  | { readonly kind: 'drop'; readonly stream: number };

/** What the SHA-256 thread is started with. */
export interface Sha256Setup {
  readonly memory: SharedSetup['memory'] | null;
}

/** Bytes that a task looks at. */
export function bytesOf(task: Task): number {
  switch (task.kind) {
    case 'ping':
      return 0;
    case 'chunk':
      return task.segments.reduce((sum, { start, end }) => sum + end - start, 0);
    case 'decode': {
      let bytes = 0;
      for (let at = 0; at < task.runs.length; at += 4) {
        bytes += (task.runs[at + 1] as number) - (task.runs[at] as number);
      }
      return bytes;
    }
    case 'verify':
      return task.end - task.start;
    default:
      return task.lengths.reduce((sum, length) => sum + length, 0);
  }
}
