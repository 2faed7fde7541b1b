import { isOrbweaverError, OrbweaverError } from '../errors.js';
import type { HubEngine } from '../gateway/index.js';
import { createCasClient } from '../transport/index.js';
import type { WorkerPool } from '../workers/index.js';
import type { UploadInput } from './input.js';
import { type ComputeOptions, poolOf } from './options.js';
import { runUpload } from './upload.js';

/** Nobody resolves it: requests go to the gateway of this process. */
const INSIDE = 'http://gateway.invalid';
/** Small commits are done on the calling thread before threads are started for them. */
const IN_THREAD_BYTES = 8 * 1024 * 1024;

/**
 * What a gateway stores files with that come whole: uploads to itself, with a pool that is opened when the
 * first one comes. It is not the pool that checks what arrives: an upload waits for that with its memory
 * in its hands.
 */
export function createHubEngine(options: ComputeOptions): HubEngine {
  let pool: Promise<WorkerPool> | null = null;
  return {
    async store(gateway, files, signal) {
      pool ??= poolOf(options, { inThreadBytes: IN_THREAD_BYTES });
      const cas = await createCasClient({
        endpoint: INSIDE,
        token: '',
        exchange: gateway,
        grants: 'never',
      });
      let broken: { readonly error: unknown } | null = null;
      async function* watched(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
        try {
          yield* pieces;
        } catch (error) {
          broken ??= { error };
          throw error;
        }
      }
      try {
        const inputs = files.map((file, at): UploadInput => {
          const data = file instanceof Uint8Array ? file : watched(file);
          return { name: String(at), data };
        });
        const parts = {
          cas,
          pool: await pool,
          cache: null,
          placement: 'balanced',
          state: null,
        } as const;
        const { files: done, failed } = await runUpload(parts, inputs, { sha256: true, signal });
        const [first] = failed;
        if (broken !== null) throw (broken as { readonly error: unknown }).error;
        if (first !== undefined) throw new OrbweaverError(first.code, first.message);
        const stored = done.map(({ path, fileHash, sha256, sizeBytes }) => {
          return [Number(path), { fileHash, sha256: sha256 ?? '', sizeBytes }] as const;
        });
        return stored.sort(([a], [b]) => a - b).map(([, each]) => each);
      } catch (error) {
        throw broken === null ? asOurs(error) : (broken as { readonly error: unknown }).error;
      } finally {
        await cas.close();
      }
    },
    async close() {
      await (await pool)?.close();
    },
  };
}

/**
 * A failure of the upload to ourselves, for whoever sent the files. The status of our own response says
 * nothing to them: it may be the 200 of one that broke off later. What has no room is theirs to know;
 * anything else that was refused is a fault of ours, because they sent neither xorbs nor shards.
 */
function asOurs(error: unknown): unknown {
  if (!isOrbweaverError(error)) return error;
  const { status, body, ...fields } = error.fields;
  const { code } = error;
  if (code === 'QUOTA_EXCEEDED') return new OrbweaverError(code, said(body) ?? error.message, {});
  if (code === 'DISK_FULL') return new OrbweaverError(code, error.message, fields, error);
  if (typeof status !== 'number' && code !== 'REJECTED') return error;
  const isBusy = status === 503 || status === 429;
  return new OrbweaverError('SERVER_ERROR', error.message, isBusy ? { status: 503 } : {}, error);
}

/** The sentence of an error, which is JSON or stands there by itself. */
function said(body: unknown): string | null {
  if (typeof body !== 'string') return null;
  try {
    const { error } = JSON.parse(body) as { readonly error?: unknown };
    return typeof error === 'string' ? error : null;
  } catch {
    return body;
  }
}
