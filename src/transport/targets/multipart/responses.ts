import type { Digests } from '../../../digests/ports.js';
import type { TargetResponse } from '../http.js';
import type { Done, StepContext } from '../ports.js';

/** What the generations of the server respond with, read tolerantly. */

/** MD5 covers both ends only above this size. */
export const ENDS_ABOVE_BYTES: number = 1024 ** 3;

/** A file as the server describes it. */
export interface RemoteFile {
  readonly id: string;
  readonly sizeBytes: number | null;
  /** Lower-case hex of any length; null when it is missing. */
  readonly hash: string | null;
}

export type CreateResponse =
  | { readonly exists: true; readonly file: RemoteFile }
  | {
      readonly exists: false;
      readonly taskId: string;
      readonly chunkBytes: number;
      readonly chunkCount: number;
    }
  | null;

export function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** Null: it is no such response. */
export function readCreate({ json }: TargetResponse): CreateResponse {
  const body = record(json);
  if (body['file_exists'] === true) {
    const file = readFile(body['file']);
    return file === null ? null : { exists: true, file };
  }
  const taskId = body['task_id'];
  const chunkBytes = body['chunk_size'];
  const chunkCount = body['chunks_count'];
  if (typeof taskId !== 'string' || taskId === '') return null;
  return { exists: false, taskId, chunkBytes: Number(chunkBytes), chunkCount: Number(chunkCount) };
}

export function readFile(value: unknown): RemoteFile | null {
  const { id, size, hash } = record(value);
  if (typeof id !== 'string' || id === '') return null;
  return {
    id,
    sizeBytes: typeof size === 'number' ? size : null,
    hash: typeof hash === 'string' ? hash.toLowerCase() : null,
  };
}

/** `taskId` of a 202, which is spelled in two ways. */
export function readTaskId(json: unknown): string | null {
  const body = record(json);
  const id = body['taskId'] ?? body['task_id'];
  return typeof id === 'string' ? id : null;
}

/** Indexes that the server has. Null: no such list. */
export function readUploaded(json: unknown): readonly number[] | null {
  const list = record(json)['uploaded_chunks'];
  if (!Array.isArray(list)) return null;
  return list.filter((index): index is number => Number.isSafeInteger(index));
}

export type TaskStatus = 'running' | 'completed' | 'failed';

/** Numbers as the two code bases count; text means the same in both. */
const G1_NUMBERS: readonly TaskStatus[] = [
  'running',
  'running',
  'running',
  'completed',
  'failed',
  'failed',
  'failed',
];

/** Text or number: both are sent. Numbers differ between generations only where the task runs. */
export function readStatus(json: unknown): TaskStatus {
  const { status } = record(json);
  if (typeof status === 'number') return G1_NUMBERS[status] ?? 'running';
  const text = String(status).toLowerCase();
  if (text === 'completed') return 'completed';
  return ['failed', 'cancelled', 'canceled', 'expired'].includes(text) ? 'failed' : 'running';
}

/** 0 to 100 for chunks, 0 to 1 in other tasks. */
export function readFraction(json: unknown): number | null {
  const { progress } = record(json);
  if (typeof progress !== 'number' || !(progress >= 0)) return null;
  return Math.min(1, progress > 1 ? progress / 100 : progress);
}

/** What the server says of a file, by the rule that its hash follows. */
export function evidenceOf(
  file: RemoteFile,
  context: Pick<StepContext, 'source' | 'digests'>,
  hash: 'auto' | 'md5-full',
): Done['evidence'] {
  const { digests, source } = context;
  const size = file.sizeBytes === null ? {} : { sizeBytes: file.sizeBytes };
  return { ...size, digests: digestOf() };

  function digestOf(): Digests {
    const { hash: got } = file;
    if (got === null) return {};
    if (/^[0-9a-f]{64}$/.test(got)) return { sha256: got };
    if (!/^[0-9a-f]{32}$/.test(got)) return {};
    const byEnds = hash === 'auto' && source.sizeBytes > ENDS_ABOVE_BYTES && got !== digests.md5;
    return byEnds ? { md5Ends: got } : { md5: got };
  }
}

/** The hash by which the server finds files; null while it is not known. */
export function lookupHash(
  { digests, source }: Pick<StepContext, 'source' | 'digests'>,
  hash: 'auto' | 'md5-full',
): string | null {
  const byEnds = hash === 'auto' && source.sizeBytes > ENDS_ABOVE_BYTES;
  return (byEnds ? digests.md5Ends : digests.md5) ?? null;
}
