import type { Part, Plan, StepContext } from '../ports.js';
import { protocolError } from './api.js';

/** What a server may make of a file: with chunks of 5 MiB that is 5 TB. */
const MAX_CHUNKS = 1_000_000;

/**
 * The plan of a new task.
 * @throws OrbweaverError `PROTOCOL` when size and count of the chunks do not make the file
 */
export function planOf(
  created: { taskId: string; chunkBytes: number; chunkCount: number; finds: boolean },
  context: StepContext,
): Plan {
  const { taskId, chunkBytes, chunkCount, finds } = created;
  const { sizeBytes } = context.source;
  const right =
    Number.isSafeInteger(chunkBytes) &&
    (chunkBytes >= 1 || sizeBytes === 0) &&
    chunkCount === (sizeBytes === 0 ? 0 : Math.ceil(sizeBytes / chunkBytes));
  if (!right) {
    throw protocolError(
      `"chunks_count" expected ${sizeBytes} bytes in chunks of "chunk_size", got ${chunkCount} of ${chunkBytes}`,
    );
  }
  if (chunkCount > MAX_CHUNKS) {
    throw protocolError(`"chunks_count" expected at most ${MAX_CHUNKS}, got ${chunkCount}`);
  }
  return {
    ids: { task_id: taskId },
    state: { chunkBytes, chunkCount, finds },
    ...missingParts({ chunkBytes, chunkCount, sizeBytes }, new Set()),
  };
}

/** The chunks that are not there yet. */
export function missingParts(
  layout: { readonly chunkBytes: number; readonly chunkCount: number; readonly sizeBytes: number },
  present: ReadonlySet<number>,
): { readonly parts: readonly Part[]; readonly presentBytes: number } {
  const { chunkBytes, chunkCount, sizeBytes } = layout;
  const parts: Part[] = [];
  let presentBytes = 0;
  for (let index = 0; index < chunkCount; index++) {
    const start = index * chunkBytes;
    const end = Math.min(sizeBytes, start + chunkBytes);
    if (present.has(index)) presentBytes += end - start;
    else parts.push({ index, start, end });
  }
  return { parts, presentBytes };
}
