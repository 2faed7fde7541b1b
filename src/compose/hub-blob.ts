import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { OrbweaverError } from '../errors.js';
import type { HubFileInfo } from '../hub/index.js';
import { memorySink } from '../io/index.js';
import { withStored } from './hub-edit.js';
import type { HubBlob } from './hub-functions.js';
import { createHubParts, type HubParts } from './hub-parts.js';
import { plainDownload } from './hub-plain.js';
import type { HubOptions, RepoAt } from './hub-types.js';
import type { ReadOptions } from './remote-file.js';

/** What a {@link lazyBlob} is of. */
export interface LazyBlobOptions {
  readonly info: HubFileInfo;
  readonly at: RepoAt;
  readonly options: HubOptions;
  readonly signal?: AbortSignal | undefined;
}

/** A file of a repository; each read has connections of its own, so that nothing needs closing. */
export function lazyBlob(of: LazyBlobOptions): HubBlob {
  return blobOf(of, 0, of.info.size);
}

function blobOf(of: LazyBlobOptions, start: number, end: number): HubBlob {
  const { info } = of;
  const size = end - start;
  const bytes = async (options: ReadOptions = {}): Promise<Uint8Array<ArrayBuffer>> => {
    const parts = createHubParts(of.options);
    try {
      return Uint8Array.from(await read(parts, of, start, end, options.signal ?? of.signal));
    } finally {
      await parts.close();
    }
  };
  const blob: HubBlob = {
    size,
    etag: info.etag,
    slice: (from = 0, to = size) => {
      const first = start + clamp(from, size);
      return blobOf(of, first, Math.max(first, start + clamp(to, size)));
    },
    bytes,
    arrayBuffer: async (options) => (await bytes(options)).buffer,
    text: async (options) => new TextDecoder().decode(await bytes(options)),
    stream: (options) =>
      Readable.toWeb(
        Readable.from(streamed(of, start, end, options?.signal)),
      ) as ReadableStream<Uint8Array>,
  };
  const isStored = of.options.transport !== 'http' && size === info.size;
  return isStored && info.xetHash !== null ? withStored(blob, info.xetHash) : blob;
}

async function read(
  parts: HubParts,
  { info, at }: LazyBlobOptions,
  start: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  if (info.xetHash === null || parts.transport === 'http')
    return (await whole(parts, info, signal)).subarray(start, end);
  const client = await parts.clientOf(at, 'read');
  const file = await client.open(info.xetHash, { signal });
  try {
    return start === end ? new Uint8Array(0) : await file.read(start, end - start, { signal });
  } finally {
    await file.close();
  }
}

async function whole(
  parts: HubParts,
  info: HubFileInfo,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  if (info.size > MAX_PLAIN_BYTES) {
    const text = `${info.url} expected to lie in the content-addressed store, or to have at most ${MAX_PLAIN_BYTES} bytes`;
    throw new OrbweaverError('LIMIT_EXCEEDED', text, { sizeBytes: info.size });
  }
  const sink = memorySink(info.url);
  await parts.run(signal, (inner) => plainDownload(parts, info, sink, inner, () => {}));
  return sink.bytes();
}

/** A file that is not in the store is read whole: the Hub keeps none of more than 10 MB so. */
const MAX_PLAIN_BYTES = 64 * 1024 * 1024;

async function* streamed(
  of: LazyBlobOptions,
  start: number,
  end: number,
  signal = of.signal,
): AsyncGenerator<Uint8Array, void> {
  const parts = createHubParts(of.options);
  try {
    const { xetHash } = of.info;
    if (xetHash === null || parts.transport === 'http' || start === end)
      yield await read(parts, of, start, end, signal);
    else {
      const client = await parts.clientOf(of.at, 'read');
      yield* client.stream(xetHash, { offset: start, length: end - start, signal });
    }
  } finally {
    await parts.close();
  }
}

function clamp(at: number, size: number): number {
  const whole = Math.trunc(at);
  return whole < 0 ? Math.max(0, size + whole) : Math.min(whole, size);
}
